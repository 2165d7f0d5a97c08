// Package kernel is the only room that speaks to the Linux kernel: route netlink,
// network namespaces and their directory, sysctls, nftables and the files that
// `ip netns exec` lays over /etc. It reads what is there (Snapshot) and changes it
// (Apply); what should be there is decided elsewhere.
//
// Everything goes through sockets that stay in the namespace they were opened in, and
// through threads that visit a namespace and come back. The rest of the process never
// notices: /proc/self is never used, only /proc/thread-self.
package kernel
