"""Kubernetes on the overlay: what is there, what it needs to be told, and what contradicts that.

`detect` finds the distribution, `rancher`, `kubeadm` and `vip` say what is to be written for it and
what the user wrote otherwise, `plan` puts that together, `apply` writes it, `running` looks at what
runs, `wait` is what Kubernetes' units do before they start.
"""
