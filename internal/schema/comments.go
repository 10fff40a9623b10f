package schema

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"strings"
)

// comments are those of types ("Node") and of their fields ("Node.Address"), each
// paragraph on one line.
type comments map[string]string

// readComments reads the Go files at the top of sources.
func readComments(sources fs.FS) (comments, error) {
	names, err := fs.Glob(sources, "*.go")
	if err != nil {
		return nil, err
	}
	all := comments{}
	for _, name := range names {
		content, err := fs.ReadFile(sources, name)
		if err != nil {
			return nil, err
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, content, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		ast.Inspect(file, all.add)
	}
	return all, nil
}

// add takes the comments of a declaration of types, and goes no deeper.
func (c comments) add(n ast.Node) bool {
	declaration, ok := n.(*ast.GenDecl)
	if !ok {
		_, isFile := n.(*ast.File)
		return isFile
	}
	for _, spec := range declaration.Specs {
		t, ok := spec.(*ast.TypeSpec)
		if !ok {
			continue
		}
		c[t.Name.Name] = firstOf(t.Doc, declaration.Doc)
		if structure, ok := t.Type.(*ast.StructType); ok {
			for _, field := range structure.Fields.List {
				for _, name := range field.Names {
					c[t.Name.Name+"."+name.Name] = firstOf(field.Doc, field.Comment)
				}
			}
		}
	}
	return false
}

// firstOf is the first comment that says something.
func firstOf(groups ...*ast.CommentGroup) string {
	for _, group := range groups {
		if text := strings.TrimSpace(group.Text()); text != "" {
			paragraphs := strings.Split(text, "\n\n")
			for i, p := range paragraphs {
				paragraphs[i] = strings.Join(strings.Fields(p), " ")
			}
			return strings.Join(paragraphs, "\n\n")
		}
	}
	return ""
}
