"""What Kubernetes needs to live on the overlay: its configuration, kube-vip, its CNI."""
