"""What templates of stages see as `.Values`: facts about the host, as Kairos's yip has them.

yip marshals github.com/zcalusic/sysinfo v1.1.3 to JSON and reads that into a map, so numbers are
floats and what is empty is left out (yip v1.24, pkg/plugins/common.go).
"""

from overlay_runtime.sysinfo.collect import hostname_values, values

__all__ = ["hostname_values", "values"]
