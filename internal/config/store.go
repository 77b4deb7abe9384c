package config

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/gofrs/flock"

	"app-server/internal/atomicfile"
	"app-server/internal/plainfile"
	"app-server/protocol"
)

// Store reads and writes the settings while the server runs. Its methods are
// the handlers of the config methods; all are safe for concurrent use.
type Store struct {
	options Options
	// writing keeps the edits of this process from each other; those of other
	// servers are kept apart by a lock of the home.
	writing sync.Mutex
}

// NewStore makes a Store of the same options as [Load]. It reads nothing.
func NewStore(o Options) *Store { return &Store{options: o} }

// Current returns the settings as the file has them now. Like [Load] it never
// fails.
func (s *Store) Current() *Config { return Load(s.options) }

// Read handles config/read.
func (s *Store) Read(_ context.Context, p *protocol.ConfigReadParams) (protocol.ConfigReadResponse, error) {
	cfg := s.Current()
	if p.Cwd != nil {
		cfg = cfg.In(Absolute(*p.Cwd, s.options.Cwd))
	}
	r := cfg.Describe()
	if !p.IncludeLayers {
		r.Layers = nil
	}
	return r, nil
}

// Absolute joins a relative path to a folder, such as the one that the server runs in.
func Absolute(path, base string) string {
	if filepath.IsAbs(path) {
		return filepath.Clean(path)
	}
	return filepath.Join(base, path)
}

// Requirements handles configRequirements/read.
func (s *Store) Requirements(context.Context, *protocol.NoParams) (r protocol.ConfigRequirementsReadResponse, err error) {
	switch q := s.Current().Requirements; {
	case q.Err != nil:
		return r, protocol.Errorf(protocol.CodeInternal, protocol.ReasonRestrictionBroken, "%v", q.Err)
	case q.Set:
		r.Requirements = &q.ConfigRequirements
	}
	return r, nil
}

// WriteValue handles config/value/write. It keeps the text of the file but for
// the value that changes, and refuses with a *protocol.Error that has a
// [protocol.ConfigWriteErrorCode].
func (s *Store) WriteValue(ctx context.Context, p *protocol.ConfigValueWriteParams) (protocol.ConfigWriteResponse, error) {
	return s.write(ctx, p.ConfigWriteTarget, []protocol.ConfigEdit{p.ConfigEdit})
}

// WriteBatch handles config/batchWrite: all edits are made, or none.
func (s *Store) WriteBatch(ctx context.Context, p *protocol.ConfigBatchWriteParams) (protocol.ConfigWriteResponse, error) {
	return s.write(ctx, p.ConfigWriteTarget, p.Edits)
}

func (s *Store) write(ctx context.Context, target protocol.ConfigWriteTarget, in []protocol.ConfigEdit) (protocol.ConfigWriteResponse, error) {
	var none protocol.ConfigWriteResponse
	if target.FilePath != nil && filepath.Clean(*target.FilePath) != s.file() {
		return none, refusal(protocol.WriteLayerReadonly, "Only the user's own config.toml can be written")
	}
	edits := make([]edit, len(in))
	for i := range in {
		var err error
		if edits[i], err = readEdit(in[i]); err != nil {
			return none, err
		}
	}
	return s.change(ctx, target.ExpectedVersion, func(*Config) []edit { return edits })
}

// file is the path of the settings file.
func (s *Store) file() string { return filepath.Join(s.options.Home, fileName) }

// change makes the edits that fit the settings as they are now.
func (s *Store) change(ctx context.Context, version *string, make func(*Config) []edit) (none protocol.ConfigWriteResponse, _ error) {
	file := s.file()
	s.writing.Lock()
	defer s.writing.Unlock()
	release, err := s.lock(ctx)
	if err != nil {
		return none, err
	}
	defer release()
	now := s.Current()
	src := now.layers.user.src
	if version != nil && *version != versionOf(now.layers.user) {
		return none, refusal(protocol.WriteVersionConflict, "The file has changed since it was read; read it again")
	}
	for _, p := range now.layers.found {
		if p.Path == file {
			return none, refusal(protocol.WriteValidationError, "The file cannot be edited before this is mended: %s", p.Details)
		}
	}
	edits := make(now)
	text, _, err := editText(src.data, now.layers.user, edits)
	if err != nil {
		return none, err
	}
	after := now.withFile(text)
	if err := after.check(edits); err != nil {
		return none, err
	}
	if string(text) != string(src.data) {
		if src.marked {
			text = append([]byte(mark), text...)
		}
		if err := save(file, text); err != nil {
			return none, err
		}
	}
	r := protocol.ConfigWriteResponse{Status: protocol.WriteOK, Version: versionOf(after.layers.user), FilePath: file}
	if r.OverriddenMetadata = after.overridden(edits); r.OverriddenMetadata != nil {
		r.Status = protocol.WriteOKOverridden
	}
	return r, nil
}

// withFile is c with another text of the user's settings file.
func (c *Config) withFile(text []byte) *Config {
	l, was := c.layers, c.layers.user.src
	var problems []Problem
	l.user, problems = parseFile(&source{name: was.name, dir: was.dir, broken: -1, data: text})
	l.found = append(slices.DeleteFunc(slices.Clone(l.found), func(p Problem) bool { return p.Path == was.name }), problems...)
	return decode(l)
}

// The lock of the settings file, as the sign-in's is: who waits longer than
// patience is told so.
const (
	lockName     = "config.lock"
	lockMode     = 0o600
	lockPause    = 20 * time.Millisecond
	lockPatience = 10 * time.Second
)

// lock keeps other servers of the home from writing the settings. Where the folder
// cannot hold a lock, the file cannot be replaced either, and saving tells why.
func (s *Store) lock(ctx context.Context) (release func(), err error) {
	_ = os.MkdirAll(s.options.Home, 0o700)
	ctx, cancel := context.WithTimeout(ctx, lockPatience)
	defer cancel()
	l := flock.New(filepath.Join(s.options.Home, lockName), flock.SetPermissions(lockMode))
	switch _, err := l.TryLockContext(ctx, lockPause); {
	case err == nil:
		return func() { _ = l.Close() }, nil
	case ctx.Err() != nil:
		return nil, protocol.Errorf(protocol.CodeInternal, protocol.ReasonStorage, "config.toml could not be written: another server is writing it")
	}
	return func() {}, nil
}

// save replaces the settings file. Where it is a link, what it points at is
// replaced. The folder may not be there yet.
func save(file string, text []byte) error {
	err := os.MkdirAll(filepath.Dir(file), 0o700)
	if err == nil {
		err = atomicfile.Replace(file, text)
	}
	if err != nil {
		return protocol.Errorf(protocol.CodeInternal, protocol.ReasonStorage, "config.toml could not be written: %v", plainfile.Cause(err))
	}
	return nil
}
