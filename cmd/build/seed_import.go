package main

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"banyan/internal/cli"
	"banyan/internal/durable"
	"banyan/seeds/ansible"
)

func seedImportCommand() *cobra.Command {
	var o importOptions
	cmd := &cobra.Command{
		Use:   "import --vars main.yml --inventory FILE",
		Short: "Make a cluster file of pgsql_cluster's variables and inventory",
		Long: `Make a cluster file of the variables and the inventory of pgsql_cluster, the
Ansible playbook. References among the variables are resolved; what cannot be
resolved, and what has no counterpart in a seed, is listed with its place. The
report goes to standard error and shows no password; the cluster file holds them.

An inventory has addresses without the length of their prefix, or none at all.
Where an answer is missing nothing is written, and all that is missing is listed.
docs/import.md says what becomes of each variable.`,
		Example: `  build seed import --vars vars/main.yml --vars vars/Debian.yml \
    --system vars/system.yml --inventory inventory \
    --address pgsql-n1=172.16.32.11/24 --address pgsql-n2=172.16.32.12/24 \
    --gateway 172.16.32.1 --output cluster.yaml`,
		Args:              cobra.NoArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE:              func(*cobra.Command, []string) error { return seedImport(o) },
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringArrayVar(&o.vars, "vars", nil, "a `file` of variables, such as main.yml; of several that have one, the last counts; may be repeated")
	flags.StringArrayVar(&o.system, "system", nil, "a `file` of variables such as system.yml, read after those of --vars; may be repeated")
	flags.StringVar(&o.inventory, "inventory", "", "the inventory's `file`, in INI format")
	flags.StringArrayVar(&o.addresses, "address", nil, "the address of a host of the inventory, as `HOST=ADDRESS/PREFIX`; may be repeated")
	flags.StringArrayVar(&o.names, "name", nil, "the name of a host that the inventory has by its address, or otherwise, as `HOST=NAME`; may be repeated")
	flags.StringArrayVar(&o.subnets, "subnet", nil, "the `NETWORK/PREFIX` that addresses without a prefix are in; may be repeated")
	flags.StringArrayVar(&o.gateways, "gateway", nil, "the `address` of a subnet's router; may be repeated")
	flags.StringVar(&o.clusterName, "cluster-name", "", "the cluster's `name`, in place of patroni_cluster_name")
	flags.StringVar(&o.output, "output", "cluster.yaml", "the `file` that is written, for you alone to read (0600)")
	flags.BoolVar(&o.force, "force", false, "replace the file if it is there")
	flags.BoolVar(&o.json, "json", false, "print JSON: the report")
	cobra.CheckErr(errors.Join(
		cmd.MarkFlagRequired("vars"),
		cmd.MarkFlagRequired("inventory"),
		cmd.MarkFlagFilename("vars", "yaml", "yml"),
		cmd.MarkFlagFilename("system", "yaml", "yml"),
		cmd.MarkFlagFilename("output", "yaml", "yml"),
		cmd.RegisterFlagCompletionFunc("address", cobra.NoFileCompletions),
		cmd.RegisterFlagCompletionFunc("name", cobra.NoFileCompletions),
		cmd.RegisterFlagCompletionFunc("subnet", cobra.NoFileCompletions),
		cmd.RegisterFlagCompletionFunc("gateway", cobra.NoFileCompletions),
		cmd.RegisterFlagCompletionFunc("cluster-name", cobra.NoFileCompletions),
	))
	return cmd
}

// importOptions is the command line of build seed import.
type importOptions struct {
	vars, system                        []string
	inventory                           string
	addresses, names, subnets, gateways []string
	clusterName                         string
	output                              string
	force, json                         bool
}

func seedImport(o importOptions) error {
	in, err := o.input()
	if err != nil {
		return err
	}
	if err := absent(o.output); err != nil && !o.force {
		return fmt.Errorf("%w, or say --force to replace it", err)
	}
	result, err := ansible.Import(in)
	if err != nil {
		return err
	}
	if result.Cluster != nil {
		if err := durable.WriteFile(o.output, result.Cluster, 0o600); err != nil {
			return err
		}
	}
	if o.json {
		err = cli.JSON(result.Report)
	} else {
		err = result.Report.Print(os.Stderr)
	}
	if err != nil {
		return err
	}
	if result.Cluster == nil {
		return fmt.Errorf("nothing was written: %d answers are missing", len(result.Report.Missing))
	}
	fmt.Fprintf(os.Stderr, "%s is written; next: build seed check %[1]s\n", o.output)
	return nil
}

// input reads the files and the answers.
func (o importOptions) input() (ansible.Input, error) {
	in := ansible.Input{Addresses: map[string]netip.Prefix{}, Names: map[string]string{}, ClusterName: o.clusterName}
	for _, name := range append(o.vars, o.system...) {
		data, err := os.ReadFile(name)
		if err != nil {
			return in, err
		}
		in.Vars = append(in.Vars, ansible.File{Name: name, Data: data})
	}
	data, err := os.ReadFile(o.inventory)
	if err != nil {
		return in, err
	}
	in.Inventory = ansible.File{Name: o.inventory, Data: data}
	for _, written := range o.addresses {
		name, address, _ := strings.Cut(written, "=")
		prefix, err := netip.ParsePrefix(address)
		if err != nil {
			return in, fmt.Errorf("--address %s: expected HOST=ADDRESS/PREFIX, such as pgsql-n1=172.16.32.11/24", written)
		}
		in.Addresses[name] = prefix
	}
	for _, written := range o.names {
		address, name, found := strings.Cut(written, "=")
		if !found || name == "" {
			return in, fmt.Errorf("--name %s: expected HOST=NAME, such as 172.16.32.11=pgsql-n1", written)
		}
		in.Names[address] = name
	}
	for _, written := range o.subnets {
		prefix, err := netip.ParsePrefix(written)
		if err != nil {
			return in, fmt.Errorf("--subnet %s: expected NETWORK/PREFIX, such as 172.16.32.0/24", written)
		}
		in.Subnets = append(in.Subnets, prefix.Masked())
	}
	for _, written := range o.gateways {
		address, err := netip.ParseAddr(written)
		if err != nil {
			return in, fmt.Errorf("--gateway %s: expected an address, such as 172.16.32.1", written)
		}
		in.Gateways = append(in.Gateways, address)
	}
	return in, nil
}
