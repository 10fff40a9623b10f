package main

import (
	"os"
	"reflect"

	"github.com/spf13/cobra"

	"banyan/internal/schema"
	"banyan/seeds"
)

func seedSchemaCommand() *cobra.Command {
	var asMarkdown bool
	cmd := &cobra.Command{
		Use:   "schema",
		Short: "Print the JSON Schema of seeds, for editors",
		Long: `Print the JSON Schema of seeds (draft 2020-12), with what every key means. An
editor that knows it completes keys, explains them and marks mistakes. It knows
no rule across keys; "build seed check" knows all.`,
		Example: `  build seed schema > seed.schema.json
  # and as the first line of seed.yaml, for editors with yaml-language-server:
  # yaml-language-server: $schema=seed.schema.json`,
		Args:              cobra.NoArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(*cobra.Command, []string) error {
			s, err := schema.Of(seeds.Kind, reflect.TypeFor[seeds.Seed](), seeds.Sources)
			if err != nil {
				return err
			}
			page := s.Markdown(seeds.Introduction)
			if !asMarkdown {
				if page, err = s.JSON(); err != nil {
					return err
				}
			}
			_, err = os.Stdout.Write(page)
			return err
		},
	}
	cmd.Flags().BoolVar(&asMarkdown, "markdown", false, "print the reference for people instead: docs/seed.md")
	return cmd
}
