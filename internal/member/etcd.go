package member

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"strconv"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/protobuf/encoding/protowire"

	"banyan/internal/facts"
	"banyan/internal/node"
)

// dcs is the cluster's part of etcd, asked through the node's own member.
type dcs struct {
	*clientv3.Client
	initializeKey string
}

func newDCS(scope string) (dcs, error) {
	client, err := clientv3.New(clientv3.Config{
		Endpoints: []string{node.EtcdEndpoint},
		Logger:    zap.NewNop(), // what it would say comes back as errors
	})
	if err != nil {
		return dcs{}, fmt.Errorf("etcd at %s: %w", node.EtcdEndpoint, err)
	}
	return dcs{client, node.PatroniNamespace + scope + "/initialize"}, nil
}

// answerTimeout is for one answer of etcd.
const answerTimeout = 5 * time.Second

// healthy asks as `etcdctl endpoint health` does: a read that needs a quorum.
func (d dcs) healthy(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	_, err := d.Get(ctx, "health")
	return err
}

// initialize is Patroni's key of that name.
type initialize struct {
	there bool
	value string
}

// born tells whether the key holds the system identifier of a PostgreSQL
// cluster. What counts as one is Patroni's sysid_valid in patroni/ha.py.
func (i initialize) born() bool {
	_, err := strconv.ParseUint(i.value, 10, 64)
	return err == nil && len(i.value) >= 10
}

func (i initialize) String() string {
	switch {
	case !i.there:
		return "no /initialize in the DCS"
	case i.value == "":
		return "an empty /initialize in the DCS"
	default:
		return "/initialize is " + i.value
	}
}

func (d dcs) initialize(ctx context.Context) (initialize, error) {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	response, err := d.Get(ctx, d.initializeKey)
	if err != nil {
		return initialize{}, fmt.Errorf("reading %s from etcd: %w", d.initializeKey, err)
	}
	if len(response.Kvs) == 0 {
		return initialize{}, nil
	}
	return initialize{there: true, value: string(response.Kvs[0].Value)}, nil
}

// forget deletes /initialize if it still is what it was.
func (d dcs) forget(ctx context.Context, was initialize) error {
	if !was.there {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	response, err := d.Txn(ctx).
		If(clientv3.Compare(clientv3.Value(d.initializeKey), "=", was.value)).
		Then(clientv3.OpDelete(d.initializeKey)).
		Commit()
	if err != nil {
		return fmt.Errorf("deleting %s from etcd: %w", d.initializeKey, err)
	}
	if !response.Succeeded {
		return fmt.Errorf("%s changed while the birth was being prepared: somebody else is at it", d.initializeKey)
	}
	return nil
}

// checkEtcd looks at the directory of the node's member before etcd does. One
// that never took part in anything is moved aside where the node was not born;
// where it was, data was lost, and what to do about that is for a human to say.
//
// etcd makes its log (member/wal) by renaming a directory that is whole, and
// where there is none it begins anew (wal.Create and NewServer in its sources).
// Two instants of a power cut it does not survive, as tried with 3.5.16: before
// the log, a database whose blocks were never written makes it panic at every
// start; and with a log that holds nothing yet but its header, it takes itself
// for a member of a cluster of none and waits for a leader for ever.
func checkEtcd(member string, born bool, say func(string)) error {
	entries, err := logHoldsEntries(filepath.Join(member, "wal"))
	if err != nil || entries {
		return err
	}
	if born {
		return fmt.Errorf("%s holds no data any more, and yet this node was born: put it back, "+
			"or remove %s to begin with an empty DCS, in which Patroni adopts PostgreSQL's data", member, facts.BornMarker)
	}
	there, err := exists(member)
	if err != nil || !there {
		return err
	}
	aside, err := moveAside(member, time.Now())
	if err != nil {
		return err
	}
	say("moved etcd's member directory, whose birth was interrupted, to " + aside)
	return nil
}

// logHoldsEntries tells whether etcd's write-ahead log holds a raft entry, or
// anything that is not for us to judge. It is void where there is no segment,
// or where the first and only one ends, torn or not, before its first entry.
//
// The format is that of storage/wal/{decoder.go,walpb/record.proto}: records of
// eight bytes of length, whose upper byte holds the padding, and a protobuf
// message of type, checksum and data. The checksum runs over all records' data.
func logHoldsEntries(dir string) (bool, error) {
	segments, err := filepath.Glob(filepath.Join(dir, "*.wal"))
	if err != nil || len(segments) == 0 {
		return false, err
	}
	first := filepath.Join(dir, "0000000000000000-0000000000000000.wal")
	if len(segments) > 1 || segments[0] != first {
		return true, nil
	}
	log, err := os.ReadFile(first)
	if err != nil {
		return false, err
	}
	const entryType, crcType = 2, 4
	table := crc32.MakeTable(crc32.Castagnoli)
	var sum uint32
	for len(log) >= 8 {
		length := binary.LittleEndian.Uint64(log)
		if length == 0 {
			return false, nil // preallocated space
		}
		size, padding := length&(1<<56-1), uint64(0)
		if length>>63 == 1 {
			padding = length >> 56 & 7
		}
		log = log[8:]
		end := min(size+padding, uint64(len(log)))
		kind, crc, data, ok := parseRecord(log[:min(size, end)])
		if kind != crcType {
			sum = crc32.Update(sum, table, data)
		}
		if log = log[end:]; !ok || sum != crc {
			return len(bytes.TrimRight(log, "\x00")) > 0, nil
		}
		if kind == entryType {
			return true, nil
		}
	}
	return false, nil
}

// parseRecord reads a walpb.Record.
func parseRecord(b []byte) (kind uint64, crc uint32, data []byte, ok bool) {
	for len(b) > 0 {
		field, wire, n := protowire.ConsumeTag(b)
		if n < 0 {
			return 0, 0, nil, false
		}
		b = b[n:]
		switch {
		case field == 1 && wire == protowire.VarintType:
			kind, n = protowire.ConsumeVarint(b)
		case field == 2 && wire == protowire.VarintType:
			var v uint64
			v, n = protowire.ConsumeVarint(b)
			crc = uint32(v)
		case field == 3 && wire == protowire.BytesType:
			data, n = protowire.ConsumeBytes(b)
		default:
			n = protowire.ConsumeFieldValue(field, wire, b)
		}
		if n < 0 {
			return 0, 0, nil, false
		}
		b = b[n:]
	}
	return kind, crc, data, true
}
