# Proxies of the network block, for people who log in.
if [ -r /run/edge-overlay/proxy.sh ]; then
    . /run/edge-overlay/proxy.sh
fi
