package cli

import (
	"context"
	"errors"

	"github.com/cnmctl/cnmctl/spec"
	"github.com/hashicorp/hcl/v2"
	ucli "github.com/urfave/cli/v2"
)

func validateCommand(env Env) *ucli.Command {
	return &ucli.Command{
		Name:  "validate",
		Usage: "Check the configuration, without looking at the machine",
		Description: about(`Reads and evaluates the configuration of this directory and reports all mistakes in it
together. Neither the kernel nor the store is looked at.`,
			"cnmctl validate", "cnmctl validate -json", "cnmctl validate -var-file=test.vars"),
		Flags: flags(varFlags(), colorFlag(), []ucli.Flag{
			toggle("json", "write a JSON object in the shape of Terraform's"),
			toggle("compact-warnings", "show warnings as one line each"),
		}),
		Action: looking(env, validate),
	}
}

func validate(ctx context.Context, s *session) error {
	if err := s.arguments(0, 0); err != nil {
		return err
	}
	collected := &hcl.Diagnostics{}
	if s.Bool("json") {
		s.say.collect = collected
	}
	f := &flow{s: s}
	err := f.load()
	if err == nil {
		err = f.evaluate(ctx)
	}
	if err == nil {
		err = f.expand()
	}
	if !s.Bool("json") {
		if err == nil {
			s.say.line("%s The configuration is valid.", s.say.paint(green, "Success!"))
		}
		return err
	}
	var mistakes hcl.Diagnostics
	if err != nil && !errors.As(err, &mistakes) {
		mistakes = hcl.Diagnostics{{Severity: hcl.DiagError, Summary: err.Error()}}
	}
	if err := spec.DiagnosticsJSON(s.env.Stdout, append(*collected, mistakes...), s.say.files); err != nil {
		return err
	}
	if err != nil {
		return quietly(codeError)
	}
	return nil
}
