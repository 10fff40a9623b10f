package dnscp

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"banyan/internal/dnscp/config"
)

// metrics are the guard's numbers for Prometheus.
type metrics struct {
	registry *prometheus.Registry

	leader     prometheus.Gauge
	holdDown   prometheus.Gauge
	held       *prometheus.GaugeVec     // by VIP
	conflicts  *prometheus.CounterVec   // by VIP
	updated    *prometheus.GaugeVec     // by name
	failures   *prometheus.CounterVec   // by what failed
	transition *prometheus.HistogramVec // by what was done
}

// What fails, or takes its time.
const (
	aboutPatroni = "patroni"
	aboutVIP     = "vip"
	aboutRecord  = "record"
)

func newMetrics(vips []netip.Addr) *metrics {
	gauge := func(name, help string) prometheus.GaugeOpts {
		return prometheus.GaugeOpts{Namespace: "dnscp", Name: name, Help: help}
	}
	counter := func(name, help string) prometheus.CounterOpts {
		return prometheus.CounterOpts{Namespace: "dnscp", Name: name, Help: help}
	}
	m := &metrics{
		registry:  prometheus.NewRegistry(),
		leader:    prometheus.NewGauge(gauge("leader", "1 where this host's Patroni leads, as it last said.")),
		holdDown:  prometheus.NewGauge(gauge("hold_down_seconds", "For how long VIPs stay when Patroni falls silent.")),
		held:      prometheus.NewGaugeVec(gauge("vip_held", "1 where the VIP is on this host."), []string{"vip"}),
		conflicts: prometheus.NewCounterVec(counter("vip_conflicts_total", "How often another host answered for a VIP that was taken."), []string{"vip"}),
		updated:   prometheus.NewGaugeVec(gauge("record_updated_timestamp_seconds", "When this host last wrote the record."), []string{"name"}),
		failures:  prometheus.NewCounterVec(counter("failures_total", "What could not be done or asked."), []string{"about"}),
		transition: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: "dnscp", Name: "transition_seconds",
			Help:    "From the wake-up or question that told of the leader's change until the VIP was there, or the record.",
			Buckets: []float64{.01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30},
		}, []string{"of"}),
	}
	m.registry.MustRegister(m.leader, m.holdDown, m.held, m.conflicts, m.updated, m.failures, m.transition)
	for _, vip := range vips { // so that each is there from the first scrape on
		m.held.WithLabelValues(vip.String()).Set(0)
		m.conflicts.WithLabelValues(vip.String())
	}
	for _, about := range []string{aboutPatroni, aboutVIP, aboutRecord} {
		m.failures.WithLabelValues(about)
	}
	return m
}

// serve answers Prometheus until the context ends.
func (m *metrics) serve(ctx context.Context, address string) error {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return fmt.Errorf("metrics.listen: %w", err)
	}
	mux := http.NewServeMux()
	mux.Handle("/metrics", promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{}))
	server := &http.Server{Handler: mux, ReadTimeout: 10 * time.Second, WriteTimeout: 10 * time.Second}
	stop := context.AfterFunc(ctx, func() { _ = server.Close() }) // nobody waits for the rest
	defer stop()
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("metrics.listen: %w", err)
	}
	return nil
}

// textfileInterval is how often the numbers are written where a file is wanted.
const textfileInterval = 15 * time.Second

// write writes them to a file until the context ends, as a whole each time. What fails is
// told, once, and tried again.
func (m *metrics) write(ctx context.Context, path string, failed chan<- error) {
	told := false
	again := time.NewTicker(textfileInterval)
	defer again.Stop()
	for {
		err := prometheus.WriteToTextfile(path, m.registry)
		if err == nil { // the guard's umask keeps it from everybody, and so from node_exporter
			err = os.Chmod(path, 0o644)
		}
		if err != nil && !told {
			failed <- fmt.Errorf("metrics.textfile: %w", err)
		}
		told = err != nil
		select {
		case <-ctx.Done():
			return
		case <-again.C:
		}
	}
}

// publish does both as far as they are wanted, and tells what keeps it from one of them.
func (m *metrics) publish(ctx context.Context, c config.Metrics) <-chan error {
	failed := make(chan error, 2)
	if c.Listen != "" {
		go func() { failed <- m.serve(ctx, c.Listen) }()
	}
	if c.Textfile != "" {
		go m.write(ctx, c.Textfile, failed)
	}
	return failed
}
