# shellcheck shell=bash
# A job that deploys to a cluster, with a token of its own.
# alerts: 4 Cluster's client used for access in a container: a token among the arguments, or access that is set up; each command once
job "$IMAGE" sh -ec '
    kubectl version --client
    kubectl --server=https://k:6443 --token=abc apply -f deploy.yml
    kubectl --server=https://k:6443 --token=abc create rolebinding app --clusterrole=view --serviceaccount=a:b
    kubectl --server=https://k:6443 --token=abc auth can-i create pods
    kubectl --server=https://k:6443 --token=abc rollout status deployment/app
    docker build -t app:1 . && docker push app:1 && docker run --rm app:1 test'
