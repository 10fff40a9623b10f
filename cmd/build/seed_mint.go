package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"banyan/internal/cli"
	"banyan/internal/pki"
	"banyan/seeds"
	"banyan/seeds/mint"
)

// mintFlags are the flags of build seed mint that stand for files.
type mintFlags struct {
	ca, caKey, etcdCA, etcdCAKey string
	sign, passwordFile           string
	encrypt                      bool
	recipients                   []string
	recipientsFile               string
	passphraseFile               string
}

func seedMintCommand() *cobra.Command {
	var (
		dir    string
		o      mint.Options
		out    mint.Output
		f      mintFlags
		asJSON bool
	)
	cmd := &cobra.Command{
		Use:   "mint FILE",
		Short: "Make the seeds of a cluster from its cluster file",
		Long: `Make the seeds of a cluster from its cluster file. The authorities, a certificate
for each node and the passwords that the file does not give are made and kept in
secrets.yaml of the directory. Minting again makes nothing that is there already;
the generation of the cluster grows where the seeds say something new.

Each node gets the keys and passwords that its services need, and no others. The
keys of the authorities are in secrets.yaml alone: keep it, and show it to nobody.

A certificate is made anew where it would say something else, such as another
address, or with --renew; that it ends soon is a warning.`,
		Example: `  build seed mint cluster.yaml --output ../pgsql-cl/
  build seed mint cluster.yaml --output ../pgsql-cl/ --universal
  build seed mint cluster.yaml --output ../pgsql-cl/ --sign banyan.key --recipient age1...
  build seed mint cluster.yaml --output ../pgsql-cl/ --import-ca ca.crt --import-ca-key ca.key`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			text, err := seeds.ReadFile(args[0])
			if err != nil {
				return err
			}
			cluster, warnings, err := mint.Parse(args[0], text)
			if err != nil {
				return err
			}
			for _, w := range warnings {
				warn(w)
			}
			if !cmd.Flags().Changed("per-node") {
				out.PerNode = !out.Universal
			}
			if err := f.read(cmd.Context(), &o, &out); err != nil {
				return err
			}
			o.Now = time.Now()
			report, err := mint.Into(cmd.Context(), dir, cluster, o, out)
			if err != nil {
				return err
			}
			for _, w := range report.Warnings {
				warn(w)
			}
			if asJSON {
				return cli.JSON(report)
			}
			return printMinted(report)
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVar(&dir, "output", "", "the `directory` for the seeds and secrets.yaml; made if need be")
	flags.BoolVar(&out.Universal, "universal", false, "write one seed for all nodes, instead of one for each")
	flags.BoolVar(&out.PerNode, "per-node", false, "write a seed for each node, beside a universal one too")
	flags.BoolVar(&o.Renew, "renew", false, "make the certificates of all nodes anew")
	flags.StringVar(&f.ca, "import-ca", "", "the certificate `file` of an authority of your own, followed by those above it")
	flags.StringVar(&f.caKey, "import-ca-key", "", "its key `file`, not encrypted")
	flags.StringVar(&f.etcdCA, "import-etcd-ca", "", "the same for etcd, another authority: its certificate `file`")
	flags.StringVar(&f.etcdCAKey, "import-etcd-ca-key", "", "its key `file`")
	flags.StringVar(&f.sign, "sign", "", "sign the seeds with this secret key, a `file` of minisign")
	flags.StringVar(&f.passwordFile, "password-file", "", "the `file` that holds that key's password (default ask for it)")
	flags.BoolVar(&f.encrypt, "encrypt", false, "encrypt the seeds with age, by a passphrase unless there are recipients")
	flags.StringArrayVar(&f.recipients, "recipient", nil, "encrypt for this public `key`: age1..., ssh-ed25519 or ssh-rsa; may be repeated")
	flags.StringVar(&f.recipientsFile, "recipients-file", "", "encrypt for the public keys in this `file`, one a line")
	flags.StringVar(&f.passphraseFile, "passphrase-file", "", "encrypt by the passphrase in this `file` (default ask for it)")
	flags.BoolVar(&asJSON, "json", false, "print JSON")
	cobra.CheckErr(errors.Join(
		cmd.MarkFlagRequired("output"),
		cmd.MarkFlagDirname("output"),
		cmd.MarkFlagFilename("sign", "key"),
		cmd.RegisterFlagCompletionFunc("recipient", cobra.NoFileCompletions),
	))
	cmd.MarkFlagsRequiredTogether("import-ca", "import-ca-key")
	cmd.MarkFlagsRequiredTogether("import-etcd-ca", "import-etcd-ca-key")
	cmd.MarkFlagsMutuallyExclusive("passphrase-file", "recipient")
	cmd.MarkFlagsMutuallyExclusive("passphrase-file", "recipients-file")
	return cmd
}

// read reads the files that are named.
func (f *mintFlags) read(ctx context.Context, o *mint.Options, out *mint.Output) (err error) {
	if o.ImportCA, err = readAuthority(f.ca, f.caKey); err != nil {
		return err
	}
	if o.ImportEtcdCA, err = readAuthority(f.etcdCA, f.etcdCAKey); err != nil {
		return err
	}
	if f.sign != "" {
		key, err := readSigningKey(ctx, f.sign, f.passwordFile)
		if err != nil {
			return err
		}
		out.Sign = func(seed []byte) ([]byte, error) { return seeds.Sign(seed, key, "") }
	}
	out.Encryption, err = f.encryption(ctx)
	return err
}

func (f *mintFlags) encryption(ctx context.Context) (*mint.Encryption, error) {
	if f.recipients != nil || f.recipientsFile != "" {
		recipients := strings.Join(f.recipients, "\n")
		if f.recipientsFile != "" {
			text, err := os.ReadFile(f.recipientsFile)
			if err != nil {
				return nil, err
			}
			recipients += "\n" + string(text)
		}
		return mint.ForRecipients(recipients)
	}
	if !f.encrypt && f.passphraseFile == "" {
		return nil, nil
	}
	if f.passphraseFile == "" && !term.IsTerminal(int(os.Stdin.Fd())) {
		return nil, errors.New("there is no terminal to ask for the passphrase on: name a file that holds it with --passphrase-file, or a --recipient")
	}
	passphrase, err := newPassword(ctx, f.passphraseFile, "Passphrase of the seeds: ")
	if err != nil {
		return nil, err
	}
	return mint.ForPassphrase(passphrase)
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
