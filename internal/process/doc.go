// Package process runs the child processes of a program that is made of
// several: it starts them, hears when they are ready, forwards their output,
// and lets none of them outlive it.
//
// A child leads a process group of its own, so a Ctrl-C at the terminal
// reaches only the parent, which decides what its children get. When the
// parent dies without a word, its children go too: on Linux the kernel kills
// them, elsewhere they notice the end of their standard input ([Lifeline]).
package process
