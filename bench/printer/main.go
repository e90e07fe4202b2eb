// A container that prints what it is told to, as fast as its stdout takes it or at a rate.
//
// It dials the control socket and answers each command (a line of JSON) with the time that its printing took:
//
//	{"lines": 1000, "length": 150, "rate": 0}  ->  {"began": <ns since the epoch>, "ended": <ns>}
//
// With a rate (lines a second) each line is written by itself, after a pause of random length, and begins with the time
// at which it was: "t=<19 digits> ". Without, lines go out in blocks, as from a program with a buffer. Lines look like
// those of a service, with numbers and identifiers that differ from line to line, so that gzip has its usual work.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"log"
	"math/rand"
	"net"
	"os"
	"strings"
	"time"
)

const (
	blockSize = 1 << 20  // what is made in advance; longer than gzip's window of 32 KiB
	writeSize = 64 << 10 // what a pipe holds
	digits    = 10
)

type command struct {
	Lines  int     `json:"lines"`
	Length int     `json:"length"`
	Rate   float64 `json:"rate"`
}

type report struct {
	Began int64 `json:"began"`
	Ended int64 `json:"ended"`
}

// events are what a service of the usual kind says; `line` puts values in.
var events = []string{
	`"msg":"request served","method":"GET","path":"/v1/items/%d","status":200,"ms":%d`,
	`"msg":"request served","method":"POST","path":"/v1/orders/%d/pay","status":201,"ms":%d`,
	`"msg":"cache miss","key":"basket:%d","ms":%d`,
	`"msg":"rows read","table":"customer","shard":%d,"rows":%d`,
	`"msg":"session refreshed","user":"u-%d","expires":%d`,
	`"msg":"retry","upstream":"inventory-%d","attempt":%d`,
	`"msg":"payment accepted","order":%d,"amount":%d,"currency":"EUR"`,
	`"msg":"request refused","method":"GET","path":"/v1/users/%d","status":403,"ms":%d`,
}

var levels = []string{"info", "info", "info", "debug", "warn"}

// line makes one line of the given length: whole JSON, with as many fields as fit; the last one is cut, as text. Where
// there is no room for that, the line is cut anywhere.
func line(random *rand.Rand, length int) []byte {
	const last, end = `"more":"`, `"}`
	var text strings.Builder
	fmt.Fprintf(&text, `{"seq":"%0*d","level":"%s","trace":"%08x",`, digits, 0, levels[random.Intn(len(levels))], random.Uint32())
	for text.Len() < length {
		fields := fmt.Sprintf(events[random.Intn(len(events))], random.Intn(1e6), random.Intn(2000)) +
			fmt.Sprintf(`,"remote":"10.%d.%d.%d",`, random.Intn(4), random.Intn(256), random.Intn(256))
		room := length - text.Len() - len(last) - len(end)
		if room >= 0 && len(fields) > room {
			fields = last + strings.ReplaceAll(fields, `"`, "'")[:room] + end
		}
		text.WriteString(fields)
	}
	return append([]byte(text.String()[:length]), '\n')
}

// count puts the next number into a line that has room for one.
func count(line []byte) {
	const at = len(`{"seq":"`)
	if len(line) <= at+digits {
		return
	}
	for i := at + digits - 1; i >= at; i-- {
		if line[i] < '9' {
			line[i]++
			return
		}
		line[i] = '0'
	}
}

// made gives the lines to print at full speed, end to end.
func made(random *rand.Rand, length int) []byte {
	size := length + 1
	block := make([]byte, 0, blockSize+size)
	for len(block) < blockSize {
		block = append(block, line(random, length)...)
	}
	return block
}

// atFullSpeed prints the lines of a block over and over, each time with other numbers.
func atFullSpeed(block []byte, lines, length int) {
	size := length + 1
	number, step := len(block)/size, max(1, writeSize/size)
	for first := 0; lines > 0; {
		some := min(step, lines, number-first)
		part := block[first*size : (first+some)*size]
		for at := 0; at < len(part); at += size {
			count(part[at : at+size])
		}
		write(part)
		lines -= some
		first = (first + some) % number
	}
}

// atRate prints lines that say when.
func atRate(random *rand.Rand, lines, length int, rate float64) {
	for range lines {
		time.Sleep(time.Duration(random.ExpFloat64() / rate * float64(time.Second)))
		text := line(random, length)
		copy(text, fmt.Sprintf("t=%019d ", time.Now().UnixNano()))
		write(text)
	}
}

func write(data []byte) {
	if _, err := os.Stdout.Write(data); err != nil {
		log.Fatal(err)
	}
}

func main() {
	control, err := net.Dial("unix", "/control/printer.sock")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Fprintln(control, os.Getenv("NAME"))
	random := rand.New(rand.NewSource(time.Now().UnixNano()))
	for commands := bufio.NewScanner(control); commands.Scan(); {
		var c command
		if err := json.Unmarshal(commands.Bytes(), &c); err != nil {
			log.Fatal(err)
		}
		block := made(random, c.Length)
		r := report{Began: time.Now().UnixNano()}
		if c.Rate > 0 {
			atRate(random, c.Lines, c.Length, c.Rate)
		} else {
			atFullSpeed(block, c.Lines, c.Length)
		}
		r.Ended = time.Now().UnixNano()
		json.NewEncoder(control).Encode(r)
	}
}
