// chart TEMPLATE...: renders templates of a chart as Helm does, which is made of this library too, with what stands on
// stdin as JSON: Values, Release, Chart. Of Helm's own functions only those that our templates use are here.
package main

import (
	"encoding/json"
	"fmt"
	"io/ioutil"
	"os"
	"text/template"
)

func main() {
	if err := render(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func render() error {
	var values interface{}
	if err := json.NewDecoder(os.Stdin).Decode(&values); err != nil {
		return err
	}
	functions := template.FuncMap{
		"toJson": func(value interface{}) (string, error) {
			text, err := json.Marshal(value)
			return string(text), err
		},
		"default": func(otherwise, value interface{}) interface{} {
			if value == nil || value == "" {
				return otherwise
			}
			return value
		},
		"int64": func(number float64) int64 { return int64(number) },
	}
	for _, file := range os.Args[1:] {
		text, err := ioutil.ReadFile(file)
		if err != nil {
			return err
		}
		// A key that is not there is a mistake in a template.
		parsed, err := template.New(file).Option("missingkey=error").Funcs(functions).Parse(string(text))
		if err != nil {
			return err
		}
		fmt.Println("---")
		if err := parsed.Execute(os.Stdout, values); err != nil {
			return err
		}
	}
	return nil
}
