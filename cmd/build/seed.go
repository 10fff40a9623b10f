package main

import "github.com/spf13/cobra"

func seedCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "seed",
		Short: "Make, check, mint and carry seeds",
		Long: `Make, check, mint and carry seeds. A seed is the one file that says what becomes
of a machine that was started from an image.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(seedNewCommand(), seedImportCommand(), seedCheckCommand(), seedMintCommand())
	cmd.AddCommand(seedSignCommand(), seedVerifyCommand(), seedKeygenCommand(), seedWriteCommand())
	cmd.AddCommand(seedSchemaCommand())
	return cmd
}
