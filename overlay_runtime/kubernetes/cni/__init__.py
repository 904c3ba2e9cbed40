"""What CNIs are told so that they use scbr-100: values for packs, Helm charts and RKE2."""

from overlay_runtime.kubernetes.cni.ports import clash as clash
from overlay_runtime.kubernetes.cni.ports import default_port as default_port
from overlay_runtime.kubernetes.cni.values import CNIS as CNIS
from overlay_runtime.kubernetes.cni.values import FORMS as FORMS
from overlay_runtime.kubernetes.cni.values import USUAL_MTU as USUAL_MTU
from overlay_runtime.kubernetes.cni.values import values as values
