package mint

import (
	"context"
	"fmt"
	"slices"

	"banyan/internal/scram"
	"banyan/seeds"
)

// verifiers puts a verifier in the place of each password of a role. A password that has
// one already keeps it.
func (m *minting) verifiers(context.Context) error {
	for role := range items(find(find(m.tree, "postgresql"), "roles")) {
		name, password := find(role, "name"), find(role, "password")
		if password == nil || scram.IsVerifier(seeds.Secret(password.Value)) {
			continue
		}
		verifier, err := m.verifier(name.Value, seeds.Secret(password.Value))
		if err != nil {
			return fmt.Errorf("the password of the role %s: %w", name.Value, err)
		}
		*password = *text(verifier.Reveal())
	}
	return nil
}

func (m *minting) verifier(role string, password seeds.Secret) (seeds.Secret, error) {
	for _, known := range slices.Concat(m.Roles, m.before.Roles) {
		if known.Name != role {
			continue
		}
		v, err := scram.Verifier(password, scram.Salt(known.Verifier))
		if err != nil {
			return "", err
		}
		if v == known.Verifier {
			m.keep(known)
			return v, nil
		}
	}
	v, err := scram.Verifier(password, scram.NewSalt())
	m.keep(Role{role, v})
	return v, err
}

func (m *minting) keep(r Role) {
	if !slices.Contains(m.Roles, r) {
		m.Roles = append(m.Roles, r)
	}
}
