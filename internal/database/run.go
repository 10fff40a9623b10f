package database

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// quiet are the settings of a session. PostgreSQL has some of them from a later version
// on, or with an extension.
var quiet = [][2]string{
	// What would show a verifier: in the log, in views, to other sessions.
	{"log_statement", "none"}, {"log_min_duration_statement", "-1"}, {"log_min_duration_sample", "-1"}, {"log_transaction_sample_rate", "0"},
	{"log_min_error_statement", "panic"}, {"debug_print_parse", "off"}, {"debug_print_rewritten", "off"},
	{"debug_print_plan", "off"}, {"debug_print_raw_parse", "off"}, {"track_activities", "off"}, {"auto_explain.log_min_duration", "-1"},
	{"pg_stat_statements.track", "none"}, {"pg_stat_statements.track_utility", "off"}, {"pgaudit.log", "none"},
	// A DBA may have set these for the superuser or the database.
	{"default_transaction_read_only", "off"}, {"standard_conforming_strings", "on"}, {"lc_messages", "C"}, {"statement_timeout", "0"},
	{"transaction_timeout", "0"},
	// A commit that waited for a replica would wait where there is none yet. Patroni does the same.
	{"synchronous_commit", "local"},
	{"lock_timeout", "60000"},
}

// setQuiet sets those of them that the server has.
func setQuiet() string {
	var values []string
	for _, setting := range quiet {
		values = append(values, fmt.Sprintf("(%s, %s)", literal(setting[0]), literal(setting[1])))
	}
	return fmt.Sprintf("SELECT set_config(name, value, false) FROM (VALUES\n\t%s\n) AS quiet (name, value) JOIN pg_settings USING (name);", strings.Join(values, ",\n\t"))
}

// quieten prepares a session. Names are looked up in pg_catalog alone, since whoever owns
// a database may have put functions and operators of his own before those.
func quieten(exec execute) error {
	for _, statement := range []string{"SET search_path = pg_catalog;", "SET client_encoding = 'UTF8';", setQuiet()} {
		if _, err := exec(statement); err != nil {
			return fmt.Errorf("begin a session: %w", err)
		}
	}
	return nil
}

// inTransaction runs statements of which all are done or none.
func inTransaction(exec execute, statements []string) error {
	for _, statement := range slices.Concat([]string{"BEGIN;"}, statements, []string{"COMMIT;"}) {
		if _, err := exec(statement); err != nil {
			_, rollback := exec("ROLLBACK;")
			return errors.Join(err, rollback)
		}
	}
	return nil
}

// run carries out a plan.
type run struct {
	plan
	say func(string)
}

// do carries out all of the plan that PostgreSQL takes. The error is what ended the run.
func (r *run) do(main *session, connect func(database string) *session) error {
	if err := r.together(main.exec, r.roles); err != nil {
		return err
	}
	for _, t := range r.databases {
		if t.sql == "" {
			continue
		}
		if err := r.one(main.exec, t); err != nil {
			return err
		}
		if !r.unmade[t.id] {
			r.say(t.does)
		}
	}
	for rest := r.extensions; len(rest) > 0; {
		n := 1
		for n < len(rest) && rest[n].of == rest[0].of {
			n++
		}
		r.in(rest[:n], connect)
		rest = rest[n:]
	}
	return nil
}

// one carries out one task. What PostgreSQL refuses is a problem of the plan.
func (r *run) one(exec execute, t task) error {
	_, err := exec(t.sql)
	if refusal := refusal(""); errors.As(err, &refusal) {
		r.fail(t, err)
		return nil
	}
	return err
}

// fail notes that a task failed. The message of a statement has seldom a part of it.
func (r *run) fail(t task, err error) {
	message := err.Error()
	if t.role != nil && t.role.Password != "" {
		message = strings.ReplaceAll(message, t.role.Password.Reveal(), t.role.Password.String())
	}
	r.problems = append(r.problems, fmt.Errorf("%s: %s: %s", t.key, t.id, message))
	r.unmade[t.id] = true
}

// together carries out tasks in one transaction, without those that PostgreSQL refuses.
func (r *run) together(exec execute, tasks []task) error {
	if len(tasks) == 0 {
		return nil
	}
	if _, err := exec("BEGIN;"); err != nil {
		return err
	}
	for _, t := range tasks {
		if r.unmade[t.of] {
			r.unmade[t.id] = true
			continue
		}
		if _, err := exec("SAVEPOINT task;"); err != nil {
			return err
		}
		if err := r.one(exec, t); err != nil {
			return err
		}
		end := "RELEASE SAVEPOINT task;"
		if r.unmade[t.id] {
			end = "ROLLBACK TO SAVEPOINT task;"
		}
		if _, err := exec(end); err != nil {
			return err
		}
	}
	if _, err := exec("COMMIT;"); err != nil {
		return err
	}
	for _, t := range tasks {
		if !r.unmade[t.id] {
			r.say(t.does)
		}
	}
	return nil
}

// in carries out the tasks of one database. One that lets nobody in keeps no other from
// being done.
func (r *run) in(tasks []task, connect func(database string) *session) {
	if r.unmade[tasks[0].of] {
		for _, t := range tasks {
			r.unmade[t.id] = true
		}
		return
	}
	s := connect(tasks[0].database.Name)
	err := quieten(s.exec)
	if err == nil { // an extension goes where a DBA's CREATE EXTENSION would put it
		_, err = s.exec("RESET search_path;")
	}
	if err == nil {
		err = r.together(s.exec, tasks)
	}
	if err = cmp.Or(err, s.close()); err != nil {
		r.fail(tasks[0], err)
		for _, t := range tasks {
			r.unmade[t.id] = true
		}
	}
}
