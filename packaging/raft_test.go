package packaging

import (
	"testing"

	"banyan/internal/command"
)

func TestRaft(t *testing.T) {
	if _, err := command.Run(t.Context(), "python3", "-B", "testdata/raft_test.py", "firstboot/raft.py"); err != nil {
		t.Error(err)
	}
}
