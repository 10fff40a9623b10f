package dnscp

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"banyan/internal/dnscp/config"
)

// Call is a command line of dnscp.sh, with which Patroni runs it:
//
//	dnscp [OPTIONS] -- ACTION ROLE SCOPE
//
// https://github.com/IlgizMamyshev/dnscp
type Call struct {
	VIPs         []netip.Addr
	PasswordFile string
	Zone         string // "" to find it
	Server       string // likewise
	TTL          int    // seconds
	Verbose      bool
	Debug        bool
	Version      bool
	Help         bool

	Action string // one of actions
	Role   string // of the member; registerRole of cron
	Scope  string // the cluster's name, which is that of the record
}

// Usage is dnscp.sh's, whose options have one hyphen.
const Usage = `  dnscp [OPTION...] -- <on_start|on_stop|on_role_change> <role> <scope>

Options:
  -vips {address[,address..]}    the virtual addresses, those of all subnets
  -pwdfile {passwordfile}        the file with the password of the virtual computer's
                                 account; none is that the record is updated unsigned
  -dnszonefqdn {zonename}        the zone of the record; it is found if not given
  -dnsserver {servername}        the server to update; it is found if not given
  -ttl {seconds}                 of the record (1200); 30 for several sites
  -verbose                       say what is not done, too
  -D                             say all that is known, but for passwords
  -h, --help                     show this
  -version, --version            show the version
`

// defaultPasswordFile is read in the current directory where no other is named.
const defaultPasswordFile = "dnscp.secret"

// registerRole is what dnscp.sh has cron say once a day.
const registerRole = "registerdns"

// actions are Patroni's callbacks, and cron's.
var actions = []string{"on_start", "on_stop", "on_restart", "on_reload", "on_role_change", "on_schedule"}

// ParseCall reads the arguments behind the program's name.
func ParseCall(args []string) (Call, error) {
	c := Call{PasswordFile: defaultPasswordFile}
	var vips string
	flags := pflag.NewFlagSet("dnscp", pflag.ContinueOnError)
	flags.Usage = func() {}
	flags.StringVar(&vips, "vips", "", "")
	flags.StringVar(&c.PasswordFile, "pwdfile", c.PasswordFile, "")
	flags.StringVar(&c.Zone, "dnszonefqdn", "", "")
	flags.StringVar(&c.Server, "dnsserver", "", "")
	flags.IntVar(&c.TTL, "ttl", 1200, "")
	flags.BoolVar(&c.Verbose, "verbose", false, "")
	flags.BoolVarP(&c.Debug, "debug", "D", false, "")
	flags.BoolVarP(&c.Help, "help", "h", false, "")
	flags.BoolVar(&c.Version, "version", false, "")
	if err := flags.Parse(twoHyphens(args, flags)); err != nil {
		return Call{}, err
	}
	if c.Help || c.Version {
		return c, nil
	}
	if !flags.Changed("pwdfile") {
		if _, err := os.Stat(c.PasswordFile); err != nil {
			c.PasswordFile = ""
		}
	}
	var err error
	if c.VIPs, err = parseVIPs(vips); err != nil {
		return Call{}, fmt.Errorf("-vips: %w", err)
	}
	if c.TTL < 1 {
		return Call{}, fmt.Errorf("-ttl: %d is no number of seconds", c.TTL)
	}
	rest := flags.Args()
	for i, to := range []*string{&c.Action, &c.Role, &c.Scope} {
		if i < len(rest) {
			*to = rest[i]
		}
	}
	switch {
	case len(rest) > 3:
		return Call{}, fmt.Errorf("%q is an argument too many", rest[3])
	case c.Action == "":
		return Call{}, errors.New("the action is missing: on_start, on_stop or on_role_change")
	case !slices.Contains(actions, c.Action):
		return Call{}, fmt.Errorf("%q is no action: use on_start, on_stop or on_role_change", c.Action)
	}
	return c, nil
}

// parseVIPs reads addresses that are separated by commas, or spaces.
func parseVIPs(list string) ([]netip.Addr, error) {
	var vips []netip.Addr
	for _, word := range strings.FieldsFunc(list, func(r rune) bool { return r == ',' || r == ' ' }) {
		a, err := netip.ParseAddr(word)
		if err != nil {
			return nil, fmt.Errorf("%q is no IP address", word)
		}
		vips = append(vips, a)
	}
	return vips, nil
}

// twoHyphens gives long options the second hyphen that pflag knows them by.
func twoHyphens(args []string, flags *pflag.FlagSet) []string {
	args = slices.Clone(args)
	for i := 0; i < len(args) && args[i] != "--"; i++ {
		name, one := strings.CutPrefix(args[i], "-")
		option := flags.Lookup(strings.TrimPrefix(name, "-"))
		if !one || option == nil {
			continue
		}
		args[i] = "--" + option.Name
		if option.NoOptDefVal == "" {
			i++ // its value
		}
	}
	return args
}

// wants is what a role asks for, where nobody else can be asked.
func (c Call) wants() standing {
	if c.Action == "on_stop" {
		return follows
	}
	switch c.Role {
	case "master", "primary", "promoted", registerRole:
		return leads
	}
	return follows // replica, demoted, standby_leader, uninitialized
}

// DNS is the record that the options describe; without a name where there is none: dnscp.sh
// keeps one only where it has a password, or a zone.
func (c Call) DNS() config.DNS {
	if c.Scope == "" || c.Zone == "" && c.PasswordFile == "" {
		return config.DNS{}
	}
	d := config.DNS{Name: c.Scope, Zone: c.Zone, TTL: c.TTL, Auth: config.AuthNone, Algorithm: "hmac-sha256"}
	if c.Zone != "" {
		d.Name = c.Scope + "." + strings.TrimSuffix(c.Zone, ".")
	}
	if c.Server != "" {
		d.Servers = []string{c.Server}
	}
	if c.PasswordFile != "" {
		d.Auth, d.SecretFile = config.AuthGSSTSIG, c.PasswordFile
	}
	return d
}

// String is for -D. It holds no secret: of the password only the file is named.
func (c Call) String() string {
	return fmt.Sprintf("VIPs=%v VCompName=%s VCompPasswordFile=%s DNSzoneFQDN=%s DNSserver=%s TTL=%d action=%s role=%s",
		c.VIPs, c.Scope, c.PasswordFile, c.Zone, c.Server, c.TTL, c.Action, c.Role)
}
