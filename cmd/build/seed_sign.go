package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"aead.dev/minisign"
	"github.com/spf13/cobra"

	"banyan/internal/durable"
	"banyan/seeds"
)

func seedSignCommand() *cobra.Command {
	var key, passwordFile string
	cmd := &cobra.Command{
		Use:   "sign SEED...",
		Short: "Sign seeds",
		Long: `Sign seeds, for images that were built with --seed-key. The signature becomes the
last four lines of a seed, in the place of an earlier one, and goes wherever the
seed goes. What is changed in the seed afterwards makes it invalid.

The key is a secret key of minisign(1). A seed that is to be encrypted is signed
first.`,
		Example: `  build seed sign --key banyan.key n1.yaml n2.yaml n3.yaml`,
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			private, err := readSigningKey(cmd.Context(), key, passwordFile)
			if err != nil {
				return err
			}
			// None is written where one cannot be signed.
			signed, errs := make([][]byte, len(args)), make([]error, len(args))
			comment := fmt.Sprintf("timestamp:%d", time.Now().Unix()) // as minisign does
			for i, name := range args {
				signed[i], errs[i] = signFile(name, private, comment)
			}
			if err := errors.Join(errs...); err != nil {
				return err
			}
			for i, name := range args {
				if err := replaceFile(name, signed[i]); err != nil {
					return err
				}
				fmt.Printf("%s is signed by the key %s\n", name, seeds.KeyID(private.ID()))
			}
			return nil
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVar(&key, "key", "", "the secret key's `file`")
	flags.StringVar(&passwordFile, "password-file", "", "the `file` that holds the key's password (default ask for it)")
	cobra.CheckErr(errors.Join(
		cmd.MarkFlagRequired("key"),
		cmd.MarkFlagFilename("key", "key"),
	))
	return cmd
}

// readSigningKey reads a secret key, and its password if it has one.
func readSigningKey(ctx context.Context, file, passwordFile string) (minisign.PrivateKey, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return minisign.PrivateKey{}, err
	}
	return seeds.ParsePrivateKey(file, text, func() (seeds.Secret, error) {
		return readPassword(ctx, passwordFile, "Password of "+file+": ")
	})
}

// signFile is a seed with its signature. One that is not valid is not signed.
func signFile(name string, key minisign.PrivateKey, comment string) ([]byte, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is no file that a signature could be written to", name)
	}
	data, err := seeds.ReadFile(name)
	if err != nil {
		return nil, err
	}
	signed, err := seeds.Sign(data, key, comment)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	_, err = seeds.Parse(name, signed)
	return signed, err
}

// replaceFile gives a file that is there another content and leaves its mode and owner.
func replaceFile(name string, content []byte) error {
	name, err := filepath.EvalSymlinks(name)
	if err != nil {
		return err
	}
	info, err := os.Stat(name)
	if err != nil {
		return err
	}
	if err := durable.WriteFile(name, content, info.Mode().Perm()); err != nil {
		return err
	}
	if owner, ok := info.Sys().(*syscall.Stat_t); ok && (int(owner.Uid) != os.Geteuid() || int(owner.Gid) != os.Getegid()) {
		return os.Chown(name, int(owner.Uid), int(owner.Gid))
	}
	return nil
}

func seedVerifyCommand() *cobra.Command {
	var key string
	cmd := &cobra.Command{
		Use:   "verify SEED...",
		Short: "Verify the signatures of seeds",
		Long: `Verify the signatures of seeds, as an image does that was built with --seed-key.
The exit code is 1 where one is not signed, is signed by another key or was
changed since.`,
		Example: `  build seed verify --key banyan.pub n1.yaml`,
		Args:    cobra.MinimumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			public, _, err := readPublicKey(key)
			if err != nil {
				return err
			}
			var errs []error
			for _, name := range args {
				data, err := seeds.ReadFile(name)
				if err == nil {
					err = seeds.Verify(name, data, public)
				}
				if err == nil {
					fmt.Printf("%s is signed by the key %s\n", name, seeds.KeyID(public.ID()))
				}
				errs = append(errs, err)
			}
			return errors.Join(errs...)
		},
	}
	cmd.Flags().StringVar(&key, "key", "", "the public key's `file`")
	cobra.CheckErr(errors.Join(
		cmd.MarkFlagRequired("key"),
		cmd.MarkFlagFilename("key", "pub"),
	))
	return cmd
}

func seedKeygenCommand() *cobra.Command {
	var output, passwordFile string
	var noPassword bool
	cmd := &cobra.Command{
		Use:   "keygen",
		Short: "Make a key pair to sign seeds with",
		Long: `Make a key pair to sign seeds with, as minisign -G does: NAME.key, the secret one,
which a password protects unless that is empty, and NAME.pub for --seed-key.`,
		Example:           `  build seed keygen --output banyan`,
		Args:              cobra.NoArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			for _, name := range []string{output + ".key", output + ".pub"} {
				if err := absent(name); err != nil {
					return err
				}
			}
			var password seeds.Secret
			if !noPassword {
				var err error
				if password, err = newPassword(cmd.Context(), passwordFile, "Password of the new key (empty for none): "); err != nil {
					return err
				}
				if password == "" && passwordFile != "" {
					return fmt.Errorf("%s is empty: write a password into it, or make a key without one by --no-password", passwordFile)
				}
			}
			secret, public, err := seeds.GenerateKey(password)
			if err != nil {
				return err
			}
			if err := errors.Join(durable.WriteFile(output+".key", secret, 0o600), durable.WriteFile(output+".pub", public, 0o644)); err != nil {
				return err
			}
			fmt.Printf("%s.key signs seeds: keep it where no image and no node is\n%[1]s.pub is for build image --seed-key\n", output)
			return nil
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVar(&output, "output", "banyan", "the files' `name` without .key and .pub")
	flags.StringVar(&passwordFile, "password-file", "", "the `file` that holds the password (default ask for it)")
	flags.BoolVar(&noPassword, "no-password", false, "make a key that no password protects")
	cmd.MarkFlagsMutuallyExclusive("password-file", "no-password")
	return cmd
}

// readPublicKey reads a key that seeds are signed with, and returns its text as well.
func readPublicKey(name string) (key minisign.PublicKey, text string, err error) {
	content, err := os.ReadFile(name)
	if err != nil {
		return key, "", err
	}
	key, err = seeds.ParsePublicKey(name, content)
	return key, string(content), err
}
