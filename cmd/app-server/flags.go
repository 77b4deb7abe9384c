package main

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"io"
	"runtime"
	"strings"

	"go.uber.org/zap/zapcore"

	"app-server/protocol"
)

// version is our own; a release sets it with -ldflags "-X main.version=...".
var version = "0.1.0"

const usage = `app-server: an agent server for a parent application, over stdin and stdout

Usage: app-server [options] [app-server] [options]

  -c, --config key=value   set one key of the configuration; may be repeated.
                           The value is TOML, or else a plain text.
      --enable FEATURE     the same as -c features.FEATURE=true
      --disable FEATURE    the same as -c features.FEATURE=false
      --listen stdio://    where to listen; stdin and stdout are the one place
      --stdio              the same
      --log-level LEVEL    debug, info, warn, error or off (default info)
      --log-format FORMAT  console or json (default console); logs go to stderr
      --version            print the version and exit
  -h, --help               print this text and exit

The word app-server may be given first, so that a parent that runs
'codex app-server' can run this program instead.

Environment:
  CODEX_HOME               folder of configuration and state (default ~/.codex)
  CODEX_CA_CERTIFICATE     more certificates to trust (else SSL_CERT_FILE)
  HTTPS_PROXY, NO_PROXY    proxy for the backend
  APP_SERVER_LOG           log level (RUST_LOG is understood for plain levels)
  LOG_FORMAT               log format
`

func versionText() string {
	return fmt.Sprintf("app-server %s (wire %s, %s/%s)", version, protocol.WireVersion, runtime.GOOS, runtime.GOARCH)
}

type action int

const (
	actionServe action = iota
	actionHelp
	actionVersion
)

// options are the command line and what of the environment belongs to it.
type options struct {
	action    action
	overrides []string
	logLevel  zapcore.Level
	logFormat logFormat
}

// leadingWord may stand before or between options.
const leadingWord = "app-server"

// parseArgs reads the command line. Errors name the option, and of a setting
// nothing else: it may be a secret.
func parseArgs(args []string, getenv func(string) string) (options, error) {
	opts := options{logLevel: levelFromEnv(getenv), logFormat: formatFromEnv(getenv)}
	fs := flag.NewFlagSet("app-server", flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	var broken error // told here, since the library would quote the value
	override := func(s string) error {
		if key, _, ok := strings.Cut(s, "="); !ok || strings.TrimSpace(key) == "" {
			broken = errors.New("key=value is expected for the options -c and --config")
		}
		opts.overrides = append(opts.overrides, s)
		return nil
	}
	feature := func(state string) func(string) error {
		return func(s string) error { return override("features." + s + "=" + state) }
	}
	fs.Func("c", "", override)
	fs.Func("config", "", override)
	fs.Func("enable", "", feature("true"))
	fs.Func("disable", "", feature("false"))
	fs.Func("listen", "", func(s string) error {
		if s != "stdio://" {
			return errors.New("only stdio:// is served")
		}
		return nil
	})
	fs.Bool("stdio", true, "")
	fs.Func("log-level", "", func(s string) (err error) {
		opts.logLevel, err = parseLevel(s)
		return err
	})
	fs.Func("log-format", "", func(s string) (err error) {
		opts.logFormat, err = parseFormat(s)
		return err
	})
	showVersion := fs.Bool("version", false, "")
	fs.BoolVar(showVersion, "V", false, "")
	word := false
	for {
		if err := fs.Parse(args); errors.Is(err, flag.ErrHelp) {
			opts.action = actionHelp
			return opts, nil
		} else if err = cmp.Or(broken, err); err != nil {
			return options{}, err
		}
		args = fs.Args()
		if len(args) == 0 {
			break
		}
		if word || args[0] != leadingWord {
			return options{}, fmt.Errorf("unknown argument %q", args[0])
		}
		word, args = true, args[1:]
	}
	if *showVersion {
		opts.action = actionVersion
	}
	return opts, nil
}
