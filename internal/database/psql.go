package database

import (
	"bufio"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"banyan/internal/command"
	"banyan/internal/facts"
	"banyan/seeds"
)

// Server is a PostgreSQL server that runs on this machine, by what it says of itself in
// its postmaster.pid: src/include/utils/pidfile.h.
type Server struct {
	PID    int
	port   string
	socket string // the directory of its first Unix-domain socket
}

// Serving is the server that works in a data directory, or false where none does. A
// server makes its data directory its working directory, which tells it from a process
// that has got its number since it died.
func Serving(dataDir string) (Server, bool, error) {
	content, err := os.ReadFile(filepath.Join(dataDir, "postmaster.pid"))
	if errors.Is(err, fs.ErrNotExist) {
		return Server{}, false, nil
	}
	if err != nil {
		return Server{}, false, err
	}
	s := parsePIDFile(string(content))
	working, err := os.Stat(fmt.Sprintf("/proc/%d/cwd", s.PID))
	if errors.Is(err, fs.ErrNotExist) {
		return Server{}, false, nil
	}
	if err != nil {
		return Server{}, false, err
	}
	data, err := os.Stat(dataDir)
	return s, err == nil && os.SameFile(working, data), err
}

// parsePIDFile reads what is there of a file that may still be being written. Its PID is
// negative where the server is a single-user one.
func parsePIDFile(content string) Server {
	lines := strings.Split(content, "\n")
	lines = append(lines, make([]string, 5)...)
	pid, _ := strconv.Atoi(strings.TrimSpace(lines[0])) // half a file was never that of a server that runs
	return Server{PID: max(pid, -pid), port: strings.TrimSpace(lines[3]), socket: strings.TrimSpace(lines[4])}
}

// asSuperuser is a program that the operating system's user of the superuser's name runs,
// whom peer authentication takes for him. Unlike runuser(1), setpriv(1) has nothing to do
// with PAM, which logs a session and sets the limits of people.
func asSuperuser(name string, args ...string) command.Command {
	return command.Command{Name: "setpriv", Args: append([]string{
		"--reuid=" + seeds.SuperuserRole, "--regid=" + seeds.SuperuserRole, "--init-groups",
		"--pdeathsig=KILL", // which the change of user has cleared
		"--", name,
	}, args...)}
}

// psql opens a session of the superuser in a database.
func (s Server) psql(ctx context.Context, version int, database string) *session {
	psql := asSuperuser(filepath.Join(facts.BinDir(version), "psql"),
		"-X", "--quiet", "--no-align", "--tuples-only", "--no-password", "--set=VERBOSITY=terse",
		"--host="+s.socket, "--port="+s.port, "--username="+seeds.SuperuserRole)
	// As an argument a name with = in it would be a connection string.
	psql.Env = []string{"PGDATABASE=" + database, "PGAPPNAME=banyan"}
	return newSession(func(stdin io.Reader, stdout io.Writer) error {
		psql.Stdin, psql.Stdout = stdin, stdout
		_, err := psql.Run(ctx)
		return err
	})
}

// session is a psql that reads statements from its standard input one by one, so that no
// argument list and no file has them.
type session struct {
	stdin  *io.PipeWriter
	stdout *io.PipeReader
	lines  *bufio.Reader // of stdout
	mark   string        // which no statement prints
	ended  chan struct{}
	err    error // once ended is closed
}

// newSession begins a session with a psql that run runs.
func newSession(run func(stdin io.Reader, stdout io.Writer) error) *session {
	in, stdin := io.Pipe()
	stdout, out := io.Pipe()
	s := &session{stdin: stdin, stdout: stdout, lines: bufio.NewReader(stdout), mark: rand.Text(), ended: make(chan struct{})}
	go func() {
		s.err = run(in, out)
		close(s.ended)
		_, _ = in.Close(), out.Close() // which never fails
	}()
	return s
}

// execute runs a statement and returns what it prints, a row to a line.
type execute func(statement string) (string, error)

// refusal is PostgreSQL's message on a statement that it refuses. The session goes on.
type refusal string

func (r refusal) Error() string { return string(r) }

// exec is an [execute]. The error of a statement that PostgreSQL refuses is a [refusal];
// after any other there is no session any more.
func (s *session) exec(statement string) (string, error) {
	if _, err := fmt.Fprintf(s.stdin, "%s\n\\echo %[2]s :ERROR\n\\echo :LAST_ERROR_MESSAGE\n\\echo %[2]s\n", statement, s.mark); err != nil {
		return "", s.why()
	}
	var rows, message []string
	failed, done := false, false
	for {
		line, err := s.lines.ReadString('\n')
		if err != nil {
			return "", s.why()
		}
		line = strings.TrimSuffix(line, "\n")
		switch result, isMark := strings.CutPrefix(line, s.mark); {
		case !isMark && !done:
			rows = append(rows, line)
		case !isMark:
			message = append(message, line)
		case !done:
			done, failed = true, result == " true"
		case failed:
			return "", refusal(strings.Join(message, " "))
		default:
			return strings.Join(rows, "\n"), nil
		}
	}
}

// why tells why a session has ended by itself.
func (s *session) why() error {
	if err := s.close(); err != nil {
		return err
	}
	return errors.New("psql ended before it was told to")
}

// close ends the session, and with it what it holds locked.
func (s *session) close() error {
	_, _ = s.stdin.Close(), s.stdout.Close() // which never fails
	<-s.ended
	return s.err
}
