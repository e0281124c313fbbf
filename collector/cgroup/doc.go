// Package cgroup knows the cgroups of a host and reads them.
//
// A Hierarchy says which version is mounted and where each controller lives. A Tree keeps the set of cgroups current:
// inotify tells of changes, and cheap checks that cannot miss one repair what inotify lost. A Reader fills one
// [snapshot.Cgroup] for each cgroup from kept descriptors, without allocating when nothing changes.
//
// Which file gives which field is data: see the tables in v1.go and v2.go.
// Nothing here is safe for concurrent use; a collector runs one pass at a time.
package cgroup
