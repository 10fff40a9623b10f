package mint

import (
	"strings"
	"testing"

	"banyan/internal/scram"
)

func TestVerifiers(t *testing.T) {
	const ready = "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
	before := mint(t, sites(t), nil, Options{})
	_, parsed := texts(t, before)
	roles := parsed["pgsql-n1"].PostgreSQL.Roles
	if len(before.Secrets.Roles) != 1 || roles[0].Password != before.Secrets.Roles[0].Verifier || roles[1].Password != ready || roles[2].Password != "" {
		t.Error("the verifiers are not those that are kept, or that were given")
	}
	if made, err := scram.Verifier("Hush-app", scram.Salt(roles[0].Password)); err != nil || made != roles[0].Password {
		t.Errorf("the password is not that of the verifier: %v", err)
	}
	for password, same := range map[string]bool{"Hush-app": true, "Hush-other": false} {
		again := mint(t, strings.Replace(sites(t), "Hush-app", password, 1), before.Secrets, Options{})
		if got := again.Secrets.Roles; len(got) != 1 || (got[0] == before.Secrets.Roles[0]) != same {
			t.Errorf("the verifier is the same: %t, want %t", !same, same)
		}
	}
}
