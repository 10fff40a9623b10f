package database

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// psqlOf is a session with a psql that answers a statement with rows, or refuses it with
// a message.
func psqlOf(answer func(statement string) (rows, message string)) *session {
	return newSession(func(stdin io.Reader, stdout io.Writer) error {
		var statement []string
		var echoes []string
		lines := bufio.NewScanner(stdin)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			echo, ok := strings.CutPrefix(lines.Text(), `\echo `)
			if !ok {
				statement = append(statement, lines.Text())
				continue
			}
			if echoes = append(echoes, echo); len(echoes) < 3 {
				continue
			}
			rows, message := answer(strings.Join(statement, "\n"))
			if rows != "" {
				fmt.Fprintln(stdout, rows)
			}
			known := strings.NewReplacer(":ERROR", fmt.Sprint(message != ""), ":LAST_ERROR_MESSAGE", message)
			for _, echo := range echoes {
				fmt.Fprintln(stdout, known.Replace(echo))
			}
			statement, echoes = nil, nil
		}
		return lines.Err()
	})
}

func TestSession(t *testing.T) {
	s := psqlOf(func(statement string) (rows, message string) {
		switch statement {
		case "SELECT two\nrows;":
			return "one\ntwo", ""
		case "SELECT nothing;":
			return "", ""
		}
		return "half a row", `syntax error at or near "` + statement + "\""
	})
	for _, test := range []struct{ statement, rows, message string }{
		{"SELECT two\nrows;", "one\ntwo", ""},
		{"SELEKT;", "", `syntax error at or near "SELEKT;"`},
		{"SELECT nothing;", "", ""},
	} {
		rows, err := s.exec(test.statement)
		if test.message == "" && (err != nil || rows != test.rows) {
			t.Errorf("%s: %q, %v", test.statement, rows, err)
		}
		if refused := refusal(""); test.message != "" && (!errors.As(err, &refused) || string(refused) != test.message) {
			t.Errorf("%s: %v", test.statement, err)
		}
	}
	if err := s.close(); err != nil {
		t.Error(err)
	}
}

// A psql that ends by itself, such as one that cannot connect, says why, as often as it is asked.
func TestSessionEnds(t *testing.T) {
	gone := errors.New("psql: error: no such database")
	for name, test := range map[string]struct {
		run  func(stdin io.Reader, stdout io.Writer) error
		want string
	}{
		"at once":             {func(io.Reader, io.Writer) error { return gone }, gone.Error()},
		"after the statement": {func(in io.Reader, _ io.Writer) error { return errors.Join(statementFrom(in), gone) }, gone.Error()},
		"in a row": {func(in io.Reader, out io.Writer) error {
			err := statementFrom(in)
			fmt.Fprint(out, "ha")
			return errors.Join(err, gone)
		}, gone.Error()},
		"without an exit code": {func(io.Reader, io.Writer) error { return nil }, "psql ended before it was told to"},
	} {
		s := newSession(test.run)
		for range 2 {
			if _, err := s.exec("SELECT 1;"); err == nil || err.Error() != test.want {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

func statementFrom(stdin io.Reader) error {
	_, err := stdin.Read(make([]byte, 1000))
	return err
}

const pidFile = "%d\n/var/lib/postgresql/17/main\n1795693667\n5433\n/var/run/postgresql\n*\n  9986051         4\nready   \n"

func TestParsePIDFile(t *testing.T) {
	for content, want := range map[string]Server{
		fmt.Sprintf(pidFile, 230):                         {230, "5433", "/var/run/postgresql"},
		"-231\n/var/lib/postgresql/17/main\n1795693667\n": {PID: 231},
		"23":                                  {PID: 23},
		"":                                    {},
		"230\n/data\n1795693667\n5432\n\n*\n": {230, "5432", ""},
	} {
		if got := parsePIDFile(content); got != want {
			t.Errorf("%q: %+v", content, got)
		}
	}
}

// This process stands for a server: it works in its own directory, and in no other.
func TestServing(t *testing.T) {
	dir := t.TempDir()
	if _, serves, err := Serving(dir); serves || err != nil {
		t.Errorf("without a file: %t, %v", serves, err)
	}
	for pid, where := range map[int]string{os.Getpid(): "somewhere else", 1 << 30: "nowhere"} {
		if err := os.WriteFile(filepath.Join(dir, "postmaster.pid"), fmt.Appendf(nil, pidFile, pid), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, serves, err := Serving(dir); serves || err != nil {
			t.Errorf("process %d, which is %s: %t, %v", pid, where, serves, err)
		}
	}
	t.Chdir(dir)
	if err := os.WriteFile("postmaster.pid", fmt.Appendf(nil, pidFile, os.Getpid()), 0o600); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(dir, link); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{dir, link} {
		if s, serves, err := Serving(path); !serves || err != nil || s.PID != os.Getpid() {
			t.Errorf("%s: %+v, %t, %v", path, s, serves, err)
		}
	}
}
