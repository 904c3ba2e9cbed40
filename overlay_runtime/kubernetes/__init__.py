"""Kubernetes on the overlay: what is there, what it needs to be told, and what contradicts that.

`detect` finds the distribution, `rancher_config` reads what k3s and RKE2 were told; `rancher`,
`kubeadm` and `vip` say what is to be written and what the user wrote otherwise, `plan` puts that
together, `apply` writes it, `running` looks at what runs, `wait` is what Kubernetes' units do
before they start.
"""
