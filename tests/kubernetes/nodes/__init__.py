"""Whole nodes: containers with systemd, containerd, kubelet and our agent, and kubeadm on them."""
