"""The lease of a host that is gone ends as soon as all can know it: the VIP moves within its time.

kube-vip's election (client-go's) looks for the end of a lease every 1 to 2.2 `retry-period`s, and
for its renewals, from which that end is counted, as rarely. After a power cut the VIP is away for
the lease's duration and up to 4.4 periods more. On each control plane a program of ours watches the
lease instead, and gives it up in the name of a holder whose host is gone: `settings` says what the
program is told, `apiserver` speaks to the API, `tracker` decides, `hosts` asks, `watch` is the
program.

kube-vip remains the one who takes the lease and the VIP. Nothing here is needed for that.
"""
