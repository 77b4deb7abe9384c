package shell

import "testing"

func TestKnownSafe(t *testing.T) {
	t.Parallel()
	safe := []string{
		"ls", "ls -la src", "ls *.go", "/bin/ls", "/usr/bin/cat a", "cat a b", "cat", "pwd", "head -n 5 a", "tail -f a", "wc -l a", "cat a | wc -l",
		"grep -rn x .", "rg x src", "rg --files", "rg -n x | head", "find . -name '*.go'", "find", "sed -n 5p a", "sed -n 1,20p a", "sed -n 1,20p",
		"git status", "git log -n 3 --oneline", "git diff HEAD~1", "git show HEAD:a", "git branch", "git branch -a", "git branch --show-current",
		"git branch --list x", "git -C x status", "git --no-pager log", "cd src && ls", "echo hi; true || false", "which go", "uniq", "uniq -c a",
		"base64 a", "bash -c 'ls'", "bash -lc 'cat a | head'", "sh -c 'bash -c ls'", "nl -ba a | sed -n 1,5p", "ls # a note",
	}
	asks := []string{
		"", "./ls", "/tmp/ls", "x/cat a", "~/bin/ls", "rm x", "find . -delete", "find . -exec ls {} +", "find . -ok ls", "find . -fprintf x y", "find . -{delete,x}",
		"find *", "rg --pre x y", "rg --pre=x y", "rg -z x", "rg -nz x", "rg --search-zip x", "rg --hostname-bin=x y", "rg x *",
		"sed -i s/a/b/ a", "sed -n '1,$p' a", "sed -n 1p a b", "sed -n 1p -i", "sed -n 1w", "uniq a b", "uniq -- a b", "uniq -- -a b", "uniq -c -- - -b", "base64 -o x a", "base64 --output=x a", "base64 --outp=x a", "base64 -bo x",
		"git -c a=b status", "git -p log", "git --git-dir=x log", "git --exec-path=x log", "git log --output=x", "git log --outp=x", "git diff --ext-diff", "git show --textconv",
		"git diff --ext", "git branch x", "git branch -d x", "git branch --list -d x", "git branch -D x --list", "git commit", "git", "git grep -O x", "git -C",
		"ls > x", "ls &", "A=b ls", "ls $x", "ls && rm x", "python -c x", "sudo ls", "env", "sort -o x y", "tee x", "bash -c 'rm x'", "/tmp/bash -c ls",
		"bash -c 'bash -c \"bash -c ls\"'", "bash x.sh", "xargs ls", "ls | xargs rm", "zsh -c '=ls'", "awk 1 a",
	}
	for _, text := range safe {
		if !safeText(text, maxNesting) {
			t.Errorf("asks: %s", text)
		}
	}
	for _, text := range asks {
		if safeText(text, maxNesting) {
			t.Errorf("safe: %s", text)
		}
	}
	if !KnownSafe([]string{"bash", "-lc", "ls | head"}) || !KnownSafe([]string{"rg", "*", "src"}) || KnownSafe(nil) || KnownSafe([]string{"/tmp/bash", "-c", "ls"}) || KnownSafe([]string{"rm"}) {
		t.Error("an argv is judged other than its text")
	}
}
