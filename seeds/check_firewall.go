package seeds

import (
	"fmt"
	"net/netip"
	"regexp"
	"strings"
)

func (d document) checkFirewall(prefix string, f Firewall) {
	d.checkSources(prefix+"ssh_sources", f.SSHSources)
	d.checkSources(prefix+"client_sources", f.ClientSources)
	d.checkAllow(prefix+"allow", f.Allow)
	for i, rule := range f.Rules {
		if wrong := wrongRule(rule); wrong != "" {
			d.Refuse(fmt.Sprintf("%srules[%d]", prefix, i), "%s", wrong)
		}
	}
	checkTwice(d, prefix+"rules", f.Rules, func(string) string { return "this rule" })
	if !f.Enabled {
		for _, key := range []string{"ssh_sources", "client_sources", "allow", "rules", "log"} {
			if d.Given(prefix + key) {
				d.Warn(d.given(prefix+"enabled", prefix+key), "there is no firewall, so that the other keys of this section count for nothing")
				break
			}
		}
	}
}

func (d document) checkAllow(path string, allowed []Allow) {
	if !d.HasKey(path) {
		return
	}
	type ports struct {
		PortRange
		Protocol
	}
	seen := map[ports]bool{}
	for i, allow := range allowed {
		at := fmt.Sprintf("%s[%d]", path, i)
		d.checkSources(at+".sources", allow.Sources)
		if of := (ports{allow.Port, allow.Protocol}); seen[of] {
			d.Refuse(at+".port", "port %s of %s is listed twice: write all its sources in one item", allow.Port, allow.Protocol)
		} else {
			seen[of] = true
		}
	}
}

func (d document) checkSources(path string, sources []netip.Prefix) {
	if !d.HasKey(path) {
		return
	}
	for i, source := range sources {
		d.checkSubnet(fmt.Sprintf("%s[%d]", path, i), source)
	}
	checkTwice(d, path, sources, netip.Prefix.String)
	if sources != nil && len(sources) == 0 {
		d.Refuse(path, "the list is empty, which lets nobody in: write networks, or remove the key for everybody")
	}
}

// ruleCommand is a command of nft(8), of which a rule is only the end.
var ruleCommand = regexp.MustCompile(`^\s*(add|create|define|delete|destroy|flush|include|insert|list|redefine|rename|replace|reset|table|chain|undefine)\b`)

// wrongRule says why a rule could end the chain that it is written into, or do more
// than it says, or "".
func wrongRule(rule string) string {
	bare := quotedText.ReplaceAllString(rule, "")
	open, balanced := 0, true
	for _, r := range bare {
		switch r {
		case '{':
			open++
		case '}':
			open--
		}
		balanced = balanced && open >= 0
	}
	switch {
	case strings.TrimSpace(rule) == "":
		return "the rule is empty: remove it"
	case ruleCommand.MatchString(rule):
		return "this is a command of nft: write only the rule itself, such as ip protocol vrrp accept"
	case strings.ContainsAny(bare, `;#"`):
		return "one rule has no semicolon, comment or open quote: write each rule as an item of its own"
	case open != 0 || !balanced:
		return "a brace is not closed, or was not opened"
	}
	return ""
}

// quotedText is what stands in quotes that are closed.
var quotedText = regexp.MustCompile(`"[^"]*"`)
