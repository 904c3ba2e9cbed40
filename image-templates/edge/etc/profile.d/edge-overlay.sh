# Completion for people who log in. Where the package bash-completion is, it finds the file by itself.
case $-${BASH_VERSION-} in
    *i*[0-9]*) . /usr/share/bash-completion/completions/edge-overlay ;;
esac
