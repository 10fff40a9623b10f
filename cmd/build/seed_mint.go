package main

import (
	"cmp"
	"fmt"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"banyan/internal/pki"
	"banyan/seeds/mint"
)

func seedMintCommand() *cobra.Command {
	var (
		dir                      string
		out                      mint.Output
		o                        mint.Options
		ca, caKey, etcd, etcdKey string
		asJSON                   bool
	)
	cmd := &cobra.Command{
		Use:   "mint FILE",
		Short: "Make the seeds of a cluster from its cluster file",
		Long: `Make the seeds of a cluster from its cluster file: the authorities, a certificate
for each node, and the passwords that the file does not give are made and kept in
secrets.yaml of the directory. Minting again makes nothing that is there already;
the generation of the cluster grows where the seeds say something new.

Each node gets the keys and passwords that its services need, and no others. The
keys of the authorities are in secrets.yaml alone: keep it, and show it to nobody.`,
		Example: `  build seed mint cluster.yaml --output seeds/
  build seed mint cluster.yaml --output seeds/ --universal
  build seed mint cluster.yaml --output seeds/ --import-ca ca.crt --import-ca-key ca.key`,
		Args: cobra.ExactArgs(1),
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return []string{"yaml", "yml"}, cobra.ShellCompDirectiveFilterFileExt
		},
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			text, err := os.ReadFile(args[0])
			if err != nil {
				return err
			}
			cluster, warnings, err := mint.Parse(args[0], text)
			if err != nil {
				return err
			}
			if o.ImportCA, err = readAuthority(ca, caKey); err != nil {
				return err
			}
			if o.ImportEtcdCA, err = readAuthority(etcd, etcdKey); err != nil {
				return err
			}
			o.Now = time.Now()
			if !cmd.Flags().Changed("per-node") {
				out.PerNode = !out.Universal
			}
			report, err := mint.Into(cmd.Context(), dir, cluster, o, out)
			if err != nil {
				return err
			}
			for _, w := range warnings {
				fmt.Fprintf(os.Stderr, "build: warning: %v\n", w)
			}
			for _, w := range report.Warnings {
				fmt.Fprintf(os.Stderr, "build: warning: %s\n", w)
			}
			if asJSON {
				return printJSON(report)
			}
			return printMinted(report)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&dir, "output", "", "the `directory` for the seeds and secrets.yaml; it is made if need be")
	flags.BoolVar(&out.Universal, "universal", false, "write one seed for all nodes, instead of one for each")
	flags.BoolVar(&out.PerNode, "per-node", false, "write a seed for each node beside a universal one")
	flags.BoolVar(&o.Renew, "renew", false, "make all certificates of nodes anew")
	flags.StringVar(&ca, "import-ca", "", "a `file` with the certificate of an authority of your own, followed by those above it")
	flags.StringVar(&caKey, "import-ca-key", "", "the `file` with its key, not encrypted")
	flags.StringVar(&etcd, "import-etcd-ca", "", "the same for etcd, a `file`; it has to be another authority")
	flags.StringVar(&etcdKey, "import-etcd-ca-key", "", "the `file` with its key")
	flags.BoolVar(&asJSON, "json", false, "print JSON")
	cobra.CheckErr(cmd.MarkFlagRequired("output"))
	cobra.CheckErr(cmd.MarkFlagDirname("output"))
	cmd.MarkFlagsRequiredTogether("import-ca", "import-ca-key")
	cmd.MarkFlagsRequiredTogether("import-etcd-ca", "import-etcd-ca-key")
	return cmd
}

// readAuthority reads an authority of the operator's, or none.
func readAuthority(certificate, key string) (*pki.Authority, error) {
	if certificate == "" {
		return nil, nil
	}
	certificates, err := os.ReadFile(certificate)
	if err != nil {
		return nil, err
	}
	secret, err := os.ReadFile(key)
	if err != nil {
		return nil, err
	}
	a, err := pki.ParseAuthority(certificates, secret)
	if err != nil {
		return nil, fmt.Errorf("%s and %s: %w", certificate, key, err)
	}
	return a, nil
}

func printMinted(r *mint.Report) error {
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "FILE\t")
	for _, f := range r.Files {
		state := "unchanged"
		if f.Written {
			state = "written"
		}
		fmt.Fprintf(w, "%s\t%s\n", f.Path, state)
	}
	fmt.Fprintln(w, "\nNODE\tCERTIFICATES UNTIL\tMADE NOW BECAUSE")
	for _, n := range r.Nodes {
		fmt.Fprintf(w, "%s\t%s\t%s\n", n.Node, n.Ends.Format(time.DateOnly), cmp.Or(strings.Join(n.Reasons, "; "), "-"))
	}
	fmt.Fprintf(w, "\ncluster %s, id %s, generation %d\n", r.Cluster, r.ID, r.Generation)
	return w.Flush()
}
