package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"banyan/internal/cli"
	"banyan/internal/namespace"
	"banyan/internal/version"
	"banyan/rootfs"
	"banyan/seeds"
)

func imageCommand() *cobra.Command {
	var (
		profile, format, compress, seedKey string

		own      programs
		asJSON   bool
		diskSize size
		limit    = size(8 << 30)
		o        = rootfs.Options{Version: version.Version, Example: seeds.Example}
	)
	cmd := &cobra.Command{
		Use:   "image",
		Short: "Build a bootable disk image",
		Long: `Build a bootable disk image and, beside it, its manifest and SHA256SUMS.

The image boots by BIOS and by UEFI. Write it to a disk, drop a seed.yaml on its
BANYAN partition and start the machine.

Root builds as root; anybody else in a user namespace, where the kernel allows
that and /etc/subuid and /etc/subgid have ids for him. The tree is made below
$TMPDIR (/var/tmp by default). What does not change with Banyan itself is kept
in a cache, see build cache.`,
		Example: `  sudo build image --profile debian-13 --output dist/
  build image --format qcow2 --size 40G
  build image --seed-key banyan.pub
  build image --mirror http://mirror.example/debian --mirror http://mirror.example/debian-security`,
		Args:              cobra.NoArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if o.Profile, err = loadProfile(profile); err != nil {
				return err
			}
			if o.Format, err = rootfs.ParseFormat(format); err != nil {
				return err
			}
			if seedKey != "" {
				if _, o.SeedKey, err = readPublicKey(seedKey); err != nil {
					return err
				}
			}
			switch compress {
			case "zst":
				o.Compress = true
			case "none":
			default:
				return fmt.Errorf("no compression %q; there are: none, zst", compress)
			}
			if err := namespace.Enter(cmd.Context()); err != nil {
				return err
			}
			root, err := namespace.IsRoot()
			if err != nil {
				return err
			}
			out := os.Stdout
			if asJSON {
				out = os.Stderr
			}
			if root {
				fmt.Fprintln(out, "building as root")
			} else {
				fmt.Fprintln(out, "building without root, in a user namespace")
			}
			o.Firstboot, o.DNSCP = own.paths()
			o.Size, o.CacheLimit = int64(diskSize), int64(limit)
			result, err := rootfs.Build(cmd.Context(), o, out)
			if err != nil {
				return err
			}
			if asJSON {
				return cli.JSON(result)
			}
			fmt.Println(result.Image)
			return nil
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVar(&profile, "profile", defaultProfile, "what the image is made of: "+strings.Join(rootfs.ProfileNames(), ", ")+", or a `file`")
	flags.StringArrayVar(&o.Mirrors, "mirror", nil, "take an archive from this `URI`, or ARCHIVE=URI where it ends otherwise than the archive; may be repeated")
	flags.StringVar(&o.Keyring, "keyring", "", "the `file` of keys that the archives are signed with (default the profile's)")
	flags.StringVar(&o.Output, "output", "dist", "the `directory` that the image goes to")
	flags.StringVar(&format, "format", "raw", "the `format` of the image: "+strings.Join(rootfs.Formats(), ", "))
	flags.StringVar(&compress, "compress", "none", "compress the image by this `method`: none, zst")
	flags.StringVar(&seedKey, "seed-key", "", "take no seed but those signed with this key: the public `file` of build seed keygen")
	flags.Var(&diskSize, "size", "of the disk, such as 40G (default what the profile's partitions take)")
	own.flags(cmd)
	flags.StringVar(&o.CacheDir, "cache", defaultCache(), "the `directory` of the cache")
	flags.Var(&limit, "cache-limit", "what the cache may take; what was used longest ago goes first")
	flags.BoolVar(&asJSON, "json", false, "print JSON; progress goes to standard error")
	cobra.CheckErr(errors.Join(
		cmd.RegisterFlagCompletionFunc("profile", cobra.FixedCompletions(rootfs.ProfileNames(), cobra.ShellCompDirectiveDefault)),
		cmd.RegisterFlagCompletionFunc("format", cobra.FixedCompletions(rootfs.Formats(), cobra.ShellCompDirectiveNoFileComp)),
		cmd.RegisterFlagCompletionFunc("compress", cobra.FixedCompletions([]string{"none", "zst"}, cobra.ShellCompDirectiveNoFileComp)),
		cmd.MarkFlagFilename("keyring", "gpg", "asc", "pgp"),
		cmd.MarkFlagFilename("seed-key", "pub"),
		cmd.MarkFlagDirname("output"),
		cmd.MarkFlagDirname("cache"),
	))
	return cmd
}
