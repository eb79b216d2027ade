"""What Kubernetes accepts: amounts, names, labels. A mistake is one line here, and no pod that never starts."""
