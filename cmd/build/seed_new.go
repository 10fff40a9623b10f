package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"banyan/internal/durable"
	"banyan/seeds"
)

func seedNewCommand() *cobra.Command {
	var (
		output, key string
		answers     outlineText
	)
	cmd := &cobra.Command{
		Use:   "new",
		Short: "Write a cluster file to begin with",
		Long: `Write a commented cluster file, from flags or, on a terminal and without any, from a
few questions. Nodes in several subnets make a site of each; a virtual address
belongs to the site whose subnet it is in. A file that is there is kept.`,
		Example: `  build seed new --output cluster.yaml
  build seed new --output cluster.yaml --name pgsql-cl --vip 172.16.32.180 \
    --node pgsql-n1=172.16.32.11/24,172.16.32.1 --node pgsql-n2=172.16.32.12/24,172.16.32.1 \
    --node pgsql-n3=172.16.32.13/24,172.16.32.1 --ssh-key ~/.ssh/id_ed25519.pub`,
		Args:              cobra.NoArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := absent(output); err != nil {
				return err
			}
			outline := []string{"name", "node", "vip", "dns-name", "zone", "dcs", "services"}
			if !slices.ContainsFunc(outline, cmd.Flags().Changed) {
				if !term.IsTerminal(int(os.Stdin.Fd())) {
					return errors.New("say by --node which nodes there are; questions are for a terminal")
				}
				if err := answers.ask(os.Stdin, os.Stderr); err != nil {
					return err
				}
			}
			o, err := answers.outline()
			if err != nil {
				return err
			}
			if o.SSHKey, err = readKey(key); err != nil {
				return err
			}
			text, err := seeds.Compose(o)
			if err != nil {
				return err
			}
			if err := durable.WriteFile(output, []byte(text), 0o644); err != nil {
				return err
			}
			fmt.Println(output)
			_, warnings, err := seeds.ParseCluster(output, []byte(text))
			for _, w := range warnings {
				warn(w)
			}
			return err
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVar(&output, "output", "cluster.yaml", "the `file` that is written")
	flags.StringVar(&answers.name, "name", "pgsql-cl", "the `name` of the cluster")
	flags.StringArrayVar(&answers.nodes, "node", nil, "a node, as `NAME=ADDRESS/PREFIX[,GATEWAY]`; may be repeated")
	flags.StringSliceVar(&answers.vips, "vip", nil, "a virtual `address` of the leader, one for each subnet; may be repeated")
	flags.StringVar(&answers.dnsName, "dns-name", "", "the first `label` of the name that clients use")
	flags.StringVar(&answers.zone, "zone", "", "the `zone` of that name")
	flags.StringVar(&answers.dcs, "dcs", string(seeds.DCSEtcd), "the `store` that Patroni keeps the cluster's state in: etcd or raft")
	flags.StringSliceVar(&answers.services, "services", nil, "the `services` that every node runs, such as postgresql,etcd,haproxy")
	flags.StringVar(&key, "ssh-key", "", "the `file` of a public key that the user dba logs in with")
	cobra.CheckErr(errors.Join(
		cmd.MarkFlagFilename("output", "yaml", "yml"),
		cmd.MarkFlagFilename("ssh-key", "pub"),
		cmd.RegisterFlagCompletionFunc("dcs", cobra.FixedCompletions([]string{string(seeds.DCSEtcd), string(seeds.DCSRaft)}, cobra.ShellCompDirectiveNoFileComp)),
		cmd.RegisterFlagCompletionFunc("services", cobra.FixedCompletions(seeds.Service("").Enum(), cobra.ShellCompDirectiveNoFileComp)),
	))
	return cmd
}

// outlineText is a [seeds.Outline] as flags and answers have it.
type outlineText struct {
	name, dnsName, zone, dcs string
	nodes, vips, services    []string
}

// ask puts the questions, each with what an empty answer means.
func (a *outlineText) ask(in io.Reader, out io.Writer) error {
	lines := bufio.NewScanner(in)
	ask := func(question, fallback string) string {
		if fallback != "" {
			question += " [" + fallback + "]"
		}
		fmt.Fprintf(out, "%s: ", question)
		if lines.Scan() && strings.TrimSpace(lines.Text()) != "" {
			return strings.TrimSpace(lines.Text())
		}
		return fallback
	}
	a.name = ask("Name of the cluster", a.name)
	for i := 1; ; i++ {
		name := ask(fmt.Sprintf("Name of node %d, or - if there is no other", i), pickName(i))
		if name == "-" || lines.Err() != nil {
			break
		}
		address := ask("  its address, such as 172.16.32.11/24", "")
		if address == "" {
			break
		}
		if gateway := ask("  the gateway of its subnet, if any", ""); gateway != "" {
			address += "," + gateway
		}
		a.nodes = append(a.nodes, name+"="+address)
	}
	a.vips = strings.Fields(strings.ReplaceAll(ask("Virtual addresses of the leader, one for each subnet, if any", ""), ",", " "))
	if a.dnsName = ask("Name in DNS that follows the leader, if any", ""); a.dnsName != "" {
		a.zone = ask("  its zone", "")
	}
	a.dcs = ask("Where the cluster's state is: etcd or raft", a.dcs)
	if answer := ask("Does every node run HAProxy: yes or no", "no"); strings.HasPrefix(strings.ToLower(answer), "y") {
		a.services = []string{"postgresql", "haproxy"}
		if a.dcs == string(seeds.DCSEtcd) {
			a.services = []string{"postgresql", "etcd", "haproxy"}
		}
	}
	return lines.Err()
}

func pickName(i int) string { return fmt.Sprintf("pgsql-n%d", i) }

// outline reads the addresses; what else is wrong the seed's own rules say.
func (a outlineText) outline() (seeds.Outline, error) {
	o := seeds.Outline{Name: a.name, DNSName: a.dnsName, Zone: a.zone, DCS: seeds.DCS(a.dcs)}
	if len(a.nodes) == 0 {
		return o, errors.New("a cluster needs a node: --node NAME=ADDRESS/PREFIX[,GATEWAY]")
	}
	if o.DCS != seeds.DCSEtcd && o.DCS != seeds.DCSRaft {
		return o, fmt.Errorf("no DCS %q to begin with: write etcd or raft", a.dcs)
	}
	for _, text := range a.nodes {
		name, rest, ok := strings.Cut(text, "=")
		address, gateway, hasGateway := strings.Cut(rest, ",")
		n := seeds.OutlineNode{Name: name}
		var err error
		if n.Address, err = netip.ParsePrefix(address); err != nil || !ok {
			return o, fmt.Errorf("node %q: expected NAME=ADDRESS/PREFIX[,GATEWAY], such as pgsql-n1=172.16.32.11/24,172.16.32.1", text)
		}
		if hasGateway {
			if n.Gateway, err = netip.ParseAddr(gateway); err != nil {
				return o, fmt.Errorf("node %s: %q is no address of a gateway", name, gateway)
			}
		}
		o.Nodes = append(o.Nodes, n)
	}
	for _, text := range a.vips {
		vip, err := netip.ParseAddr(text)
		if err != nil {
			return o, fmt.Errorf("%q is no virtual address, such as 172.16.32.180", text)
		}
		o.VIPs = append(o.VIPs, vip)
	}
	for _, service := range a.services {
		o.Services = append(o.Services, seeds.Service(service))
	}
	return o, nil
}

// readKey reads the first line of a public key's file.
func readKey(file string) (string, error) {
	if file == "" {
		return "", nil
	}
	content, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	line, _, _ := strings.Cut(strings.TrimSpace(string(content)), "\n")
	return line, nil
}
