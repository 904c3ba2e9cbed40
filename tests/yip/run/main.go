// The real yip, for comparison: `yip-run STAGE DIRECTORY…` runs a stage as Kairos's agent does,
// and does nothing else: NAME.before, NAME, NAME.after over all directories.
package main

import (
	"fmt"
	"os"

	"github.com/mudler/yip/pkg/console"
	"github.com/mudler/yip/pkg/executor"
	"github.com/sirupsen/logrus"
	"github.com/twpayne/go-vfs/v5"
)

func main() {
	log := logrus.New()
	log.SetOutput(os.Stderr)
	if os.Getenv("YIP_DEBUG") != "" {
		log.SetLevel(logrus.DebugLevel)
	}
	runner := executor.NewExecutor(executor.WithLogger(log))
	failed := false
	for _, part := range []string{".before", "", ".after"} {
		err := runner.Run(os.Args[1]+part, vfs.OSFS, console.NewStandardConsole(console.WithLogger(log)), os.Args[2:]...)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			failed = true
		}
	}
	if failed {
		os.Exit(1)
	}
}
