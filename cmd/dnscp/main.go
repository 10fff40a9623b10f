// Command dnscp keeps the virtual addresses of a PostgreSQL cluster, and its name in DNS, on the
// host of the leader.
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"time"

	"github.com/coreos/go-systemd/v22/activation"
	"github.com/spf13/cobra"

	"banyan/internal/cli"
	"banyan/internal/dnscp"
	"banyan/internal/dnscp/config"
	"banyan/internal/version"
)

func main() { os.Exit(run(os.Args[1:])) }

func run(args []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	root := rootCommand()
	var err error
	if isCommand(root, args) {
		root.SetArgs(args)
		err = root.ExecuteContext(ctx)
	} else {
		err = callback(ctx, root, args)
	}
	return cli.Status("dnscp", err)
}

// isCommand tells commands from dnscp.sh's command line, which has options first.
func isCommand(root *cobra.Command, args []string) bool {
	if len(args) == 0 {
		return true
	}
	return slices.Contains([]string{"help", "completion", cobra.ShellCompRequestCmd, cobra.ShellCompNoDescRequestCmd}, args[0]) ||
		slices.ContainsFunc(root.Commands(), func(c *cobra.Command) bool { return c.Name() == args[0] })
}

func rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "dnscp",
		Short: "Keep the virtual addresses and the name of a PostgreSQL cluster on its leader",
		Long: `Keep the virtual addresses of a PostgreSQL cluster under Patroni, and its name
in DNS, on the host of the leader.

dnscp guard does so all the time, from the configuration in
` + config.File + `. Patroni's callbacks wake it. On a host without a guard
a callback does the work itself, as dnscp.sh does, whose command line this is:

` + dnscp.Usage,
		Args:          cobra.NoArgs,
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return errors.Join(cmd.Help(), cli.Exit{Code: 1})
		},
	}
	root.AddCommand(guardCommand(), beforeStopCommand(), checkCommand())
	root.CompletionOptions.HiddenDefaultCmd = true // what it prints is in the package
	root.CompletionOptions.SetDefaultShellCompDirective(cobra.ShellCompDirectiveNoFileComp)
	return root
}

// callTime bounds a callback: a promotion, some servers of DNS that do not answer, and the
// announcements.
const callTime = time.Minute

// callback is what Patroni runs.
func callback(ctx context.Context, root *cobra.Command, args []string) error {
	call, err := dnscp.ParseCall(args)
	switch {
	case err != nil:
		return fmt.Errorf("%w\nUsage:\n%s", err, dnscp.Usage)
	case call.Help:
		return root.Help()
	case call.Version:
		_, err := fmt.Println("dnscp", version.Version)
		return err
	}
	level := slog.LevelInfo
	if call.Verbose || call.Debug {
		level = slog.LevelDebug
	}
	log := dnscp.NewLogger(os.Stderr, level).With("callback", call.Action)
	if call.Debug {
		log.Debug(call.String())
	}
	ctx, cancel := context.WithTimeoutCause(ctx, callTime, fmt.Errorf("not done after %v", callTime))
	defer cancel()
	return call.Run(ctx, log)
}

// configFlag is the configuration that a command reads.
func configFlag(cmd *cobra.Command, path *string) {
	cmd.Flags().StringVar(path, "config", config.File, "the configuration, in `FILE`")
	_ = cmd.MarkFlagFilename("config", "yml", "yaml") // fails for a flag that is not there
}

func guardCommand() *cobra.Command {
	var path string
	cmd := &cobra.Command{
		Use:   "guard",
		Short: "Keep the addresses and the name while this host leads (run by systemd)",
		Long: `Ask this host's Patroni again and again whether it leads. While it does, keep
the virtual addresses of this host's subnets here, as leases that the kernel
ends by itself when they are not renewed, and the record in DNS.

It needs CAP_NET_ADMIN and CAP_NET_RAW, and no root. It is woken by whoever
connects to the socket that systemd passes to it.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := config.Read(path)
			if err != nil {
				return err
			}
			sockets, err := unixSockets()
			if err != nil {
				return err
			}
			g, err := dnscp.NewGuard(c, dnscp.NewLogger(os.Stderr, slog.LevelInfo))
			if err != nil {
				return err
			}
			return g.Run(cmd.Context(), sockets)
		},
	}
	configFlag(cmd, &path)
	return cmd
}

// unixSockets are those that systemd has opened.
func unixSockets() ([]*net.UnixListener, error) {
	listeners, err := activation.Listeners()
	if err != nil {
		return nil, err
	}
	var sockets []*net.UnixListener
	for _, l := range listeners {
		u, ok := l.(*net.UnixListener)
		if !ok {
			return nil, fmt.Errorf("%s is no unix socket: see dnscp.socket", l.Addr())
		}
		u.SetUnlinkOnClose(false) // it is systemd's
		sockets = append(sockets, u)
	}
	return sockets, nil
}

func beforeStopCommand() *cobra.Command {
	var vips string
	cmd := &cobra.Command{
		Use:   "before-stop",
		Short: "Give the addresses up before PostgreSQL stops (run by Patroni)",
		Long: `Have the guard look, which finds PostgreSQL being stopped and gives the
addresses up: so in a planned switchover nobody is led to a server that goes.
It is for Patroni's postgresql.before_stop. Without a guard on this host it
removes those of --vips itself.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, cancel := context.WithTimeoutCause(cmd.Context(), beforeStopTime, fmt.Errorf("not done after %v", beforeStopTime))
			defer cancel()
			return dnscp.BeforeStop(ctx, vips, dnscp.NewLogger(os.Stderr, slog.LevelInfo))
		},
	}
	cmd.Flags().StringVar(&vips, "vips", "", "the virtual `ADDRESSES`, separated by commas, where no guard runs")
	return cmd
}

// beforeStopTime bounds what PostgreSQL's stop waits for.
const beforeStopTime = 10 * time.Second
