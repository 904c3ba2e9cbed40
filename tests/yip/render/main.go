// Renders templates with yip's own function, and prints what yip's templates see of the host.
//
//	render < cases.json    a JSON list of {"template": …, "data": …}; prints one of
//	                       {"output": base64, "error": text} each
//	render values          prints .Values as JSON
package main

import (
	"encoding/json"
	"fmt"
	"os"

	"github.com/denisbrodbeck/machineid"
	"github.com/mudler/yip/pkg/utils"
	"github.com/zcalusic/sysinfo"
)

type request struct {
	Template string      `json:"template"`
	Data     interface{} `json:"data"`
	// As the hostname plugin has it: the data is a struct.
	Hostname bool `json:"hostname"`
}

type answer struct {
	Output []byte `json:"output"`
	Error  string `json:"error"`
}

func main() {
	if len(os.Args) > 1 && os.Args[1] == "values" {
		check(json.NewEncoder(os.Stdout).Encode(values()))
		return
	}
	var requests []request
	check(json.NewDecoder(os.Stdin).Decode(&requests))
	answers := make([]answer, len(requests))
	for i, one := range requests {
		data := one.Data
		if one.Hostname {
			data = struct{ UUID, Random, MachineID, ProtectedID string }{"u", "r", "m", "p"}
		}
		output, err := utils.TemplatedString(one.Template, data)
		answers[i].Output = []byte(output)
		if err != nil {
			answers[i].Error = err.Error()
		}
	}
	check(json.NewEncoder(os.Stdout).Encode(answers))
}

// values does what templateSysData of yip's pkg/plugins/common.go does before it renders.
func values() map[string]interface{} {
	var system sysinfo.SysInfo
	system.GetSysInfo()
	found := map[string]interface{}{}
	data, err := json.Marshal(&system)
	check(err)
	check(json.Unmarshal(data, &found))
	found["Random"] = utils.RandomString(32)
	protected, _ := machineid.ProtectedID("yip")
	found["ProtectedID"] = protected
	return found
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
