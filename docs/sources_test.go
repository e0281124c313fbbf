package docs

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// sources is what the Go files of the checkout hold that pages speak of.
type sources struct {
	// texts are the texts of the agent's own files, formats among them.
	texts []string
	// messages are what the agent's own files log at info and above, in the same way.
	messages []string
	// tests are the names of the tests.
	tests map[string]bool
}

// readSources reads every Go file of the checkout.
func readSources(t *testing.T) sources {
	t.Helper()
	s := sources{tests: make(map[string]bool)}
	files := token.NewFileSet()
	walk(t, func(path string) {
		if !strings.HasSuffix(path, ".go") {
			return
		}
		file, err := parser.ParseFile(files, filepath.Join(root, path), nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(path, "_test.go") {
			for _, declared := range file.Decls {
				if f, ok := declared.(*ast.FuncDecl); ok && f.Recv == nil {
					s.tests[f.Name.Name] = true
				}
			}
			return
		}
		if strings.HasPrefix(path, "e2e/") || strings.HasPrefix(path, "tools/") || strings.HasPrefix(path, "bench/") {
			return // not the agent's
		}
		ast.Inspect(file, func(node ast.Node) bool {
			if message, ok := messageOf(node); ok {
				s.messages = append(s.messages, message)
			}
			expression, ok := node.(ast.Expr)
			if !ok {
				return true
			}
			text, literal := textOf(expression)
			if literal {
				s.texts = append(s.texts, text)
			}
			return !literal
		})
	})
	return s
}

// messageAt is where calls that log have their message: the place among the arguments, by the method's name.
var messageAt = map[string]int{"Info": 0, "Warn": 0, "Error": 0, "reportOnce": 2}

// messageOf returns the message of a call that logs.
func messageOf(node ast.Node) (message string, ok bool) {
	call, ok := node.(*ast.CallExpr)
	if !ok {
		return "", false
	}
	method, ok := call.Fun.(*ast.SelectorExpr)
	if !ok {
		return "", false
	}
	at, ok := messageAt[method.Sel.Name]
	if !ok || len(call.Args) <= at {
		return "", false
	}
	return textOf(call.Args[at])
}

// textOf returns the text of a literal, or of several that are joined, with a verb in the place of what is joined to them.
func textOf(expression ast.Expr) (text string, literal bool) {
	switch e := expression.(type) {
	case *ast.BasicLit:
		text, err := strconv.Unquote(e.Value)
		return text, err == nil && e.Kind == token.STRING
	case *ast.ParenExpr:
		return textOf(e.X)
	case *ast.BinaryExpr:
		if e.Op != token.ADD {
			return "", false
		}
		left, leftIs := textOf(e.X)
		right, rightIs := textOf(e.Y)
		if !leftIs {
			left = "%v"
		}
		if !rightIs {
			right = "%v"
		}
		return left + right, leftIs || rightIs
	}
	return "", false
}
