// Package identity says who a cgroup is, and which pods run on this node.
//
// [ParsePath] finds a pod's UID and a container's ID in the path of a cgroup. An [Index] puts names to them, from what
// sources tell it: the API server ([APIServer]) and the container runtime ([Runtime]). [Sources] runs those that a node has.
//
// Names outlive their source: if it is lost, the last that it told stays, and the source's state says so.
package identity
