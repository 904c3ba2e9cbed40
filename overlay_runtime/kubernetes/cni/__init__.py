"""Values and manifests for CNIs."""
