// A logging driver that throws everything away: what any plugin costs at least, to compare with.
//
// It reads each FIFO as plugins in Go do, with a goroutine and a buffer, and understands nothing of what it reads.
// StopLogging is answered when the FIFO is empty. ReadLogs is answered `true` (and with nothing), since for a plugin
// that answers `false` the engine writes a second copy of every line.
package main

import (
	"encoding/json"
	"log"
	"net"
	"net/http"
	"os"
	"sync"
	"syscall"
	"time"
)

const (
	socket     = "/run/docker/plugins/discard.sock"
	bufferSize = 1 << 20
	drainTime  = 2 * time.Second
)

// drain reads until the FIFO ends or Stop sets a deadline.
func drain(fifo *os.File, done chan<- struct{}) {
	defer close(done)
	buffer := make([]byte, bufferSize)
	for {
		if _, err := fifo.Read(buffer); err != nil {
			return
		}
	}
}

type reader struct {
	fifo *os.File
	done chan struct{}
}

// stop reads what is left without waiting for more.
func (r reader) stop() {
	r.fifo.SetReadDeadline(time.Now())
	<-r.done
	raw, err := r.fifo.SyscallConn()
	if err == nil {
		buffer, limit := make([]byte, bufferSize), time.Now().Add(drainTime)
		raw.Control(func(fd uintptr) {
			for time.Now().Before(limit) {
				if n, err := syscall.Read(int(fd), buffer); n <= 0 && err != syscall.EINTR {
					return
				}
			}
		})
	}
	r.fifo.Close()
}

func main() {
	var lock sync.Mutex
	readers := map[string]reader{}

	answer := func(pattern string, handle func(file string) any) {
		http.HandleFunc(pattern, func(w http.ResponseWriter, request *http.Request) {
			var call struct{ File string }
			json.NewDecoder(request.Body).Decode(&call) // Capabilities has no body, a repeated StopLogging neither
			json.NewEncoder(w).Encode(handle(call.File))
		})
	}
	answer("/LogDriver.Capabilities", func(string) any {
		return map[string]any{"Cap": map[string]bool{"ReadLogs": true}}
	})
	answer("/LogDriver.StartLogging", func(file string) any {
		fifo, err := os.OpenFile(file, os.O_RDONLY|syscall.O_NONBLOCK, 0)
		if err != nil {
			return map[string]string{"Err": err.Error()}
		}
		r := reader{fifo, make(chan struct{})}
		lock.Lock()
		readers[file] = r
		lock.Unlock()
		go drain(fifo, r.done)
		return map[string]string{"Err": ""}
	})
	answer("/LogDriver.StopLogging", func(file string) any {
		lock.Lock()
		r, known := readers[file]
		delete(readers, file)
		lock.Unlock()
		if known {
			r.stop()
		}
		return map[string]string{"Err": ""}
	})
	http.HandleFunc("/LogDriver.ReadLogs", func(http.ResponseWriter, *http.Request) {})

	listener, err := net.Listen("unix", socket)
	if err != nil {
		log.Fatal(err)
	}
	log.Fatal(http.Serve(listener, nil))
}
