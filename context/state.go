package actorcontext

// A Side is one of the two ends of a context.
type Side uint8

// The two sides.
const (
	Parent Side = iota // Opened the context.
	Child              // Runs the endpoint.
)

// Peer returns the other side.
func (s Side) Peer() Side { return 1 - s }

// String returns the side's name.
func (s Side) String() string { return [...]string{"parent", "child"}[s] }

// A State is what a side may expect next.
type State uint8

// The states of a side.
const (
	illegal  State = iota // In the tables: what they do not name.
	Idle                  // Nothing sent or received.
	Opening               // Open is out, Started is not.
	Calling               // Call is out; only its end comes back.
	Running               // Started is out; messages go both ways.
	Ending                // A cancel is out; only the end comes back.
	Draining              // Failed; messages sent before that may still come.
	Done                  // Nothing more comes that matters.
	numStates

	late State = 0xFF // In the tables: legal, but dropped and counted.
)

// String returns the state's name.
func (s State) String() string {
	return [...]string{"illegal", "idle", "opening", "calling", "running", "ending", "draining", "done"}[s]
}

// says lists which kinds each side may send.
var says = [2][numKinds]bool{
	Parent: {Open: true, Call: true, Yield: true, Stop: true, Cancel: true},
	Child:  {Started: true, Yield: true, Stop: true, Return: true, Error: true, Ack: true},
}

// A table says which state follows, by state and kind of message.
type table [numStates][numKinds]State

// sends is what sending a message does to a side.
var sends = table{
	Idle:    {Open: Opening, Call: Calling},
	Opening: {Started: Running, Error: Done, Cancel: Ending},
	Calling: {Return: Done, Error: Done, Cancel: Ending},
	Running: {Yield: Running, Stop: Running, Return: Done, Error: Done, Cancel: Ending},
	Ending:  {Error: Done, Cancel: Ending, Ack: Ending},
	Done:    {Ack: Done},
}

// receives is what receiving a message does to a side.
var receives = table{
	Idle:     {Open: Opening, Call: Calling},
	Opening:  {Open: late, Started: Running, Error: Draining, Cancel: Ending},
	Calling:  {Call: late, Return: Done, Error: Draining, Cancel: Ending},
	Running:  {Open: late, Yield: Running, Stop: Running, Return: Done, Error: Draining, Cancel: Ending},
	Ending:   {Open: late, Call: late, Started: Ending, Yield: Ending, Stop: Ending, Return: Done, Error: Draining, Cancel: Ending, Ack: Ending},
	Draining: {Started: Draining, Yield: Draining, Stop: Draining, Error: late, Ack: Draining},
	Done:     {Open: late, Call: late, Started: late, Yield: late, Stop: late, Return: late, Error: late, Cancel: Done, Ack: Done},
}
