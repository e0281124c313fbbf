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
