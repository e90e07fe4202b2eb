// A receiver of OTLP logs that costs as little as can be, so that what is measured is who sends.
//
// POST /v1/logs (HTTP/1.1) and .../LogsService/Export (gRPC, over HTTP/2 without TLS) are answered at once. A body that
// is compressed is kept and its records are counted when somebody asks, after the measurement; others are counted by
// their lengths. With --count=now compressed ones, too, are counted before they are answered.
//
//	POST /reset               forget everything
//	GET  /totals              {"requests", "bytes", "first": ns, "last": ns}: of answers, since the epoch
//	GET  /records?reach=N     {"records", "raw": bytes before compression, "reached": ns when N records were answered}
//	GET  /latencies           milliseconds from the time that a line says to the answer, one for each such line
//
// It ends with its standard input, and so with the program that started it.
package main

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"strconv"
	"sync"
	"time"
)

const (
	maxKept   = 1 << 30 // bytes of bodies kept to be counted later; beyond that they are counted at once
	maxHTTP2  = 4 << 20 // flow-control windows: a request fits in
	stampSize = 19
)

type request struct {
	answered int64
	records  int
	raw      int
	body     []byte // compressed, and not counted yet
	stamps   []int64
}

type sink struct {
	lock     sync.Mutex
	requests []*request
	bytes    int
	kept     int
	countNow bool
	buffers  sync.Pool
}

func (s *sink) count(r *request, body []byte) error {
	r.raw = len(body)
	return walk(body, 1, func(resourceLogs []byte) error {
		return walk(resourceLogs, 2, func(scopeLogs []byte) error {
			return walk(scopeLogs, 2, func(record []byte) error {
				r.records++
				return nil
			})
		})
	})
}

// stamps finds the times that lines say they were printed at: "t=" and 19 digits at the start of a body.
func (s *sink) stamps(r *request, body []byte) error {
	return walk(body, 1, func(resourceLogs []byte) error {
		return walk(resourceLogs, 2, func(scopeLogs []byte) error {
			return walk(scopeLogs, 2, func(record []byte) error {
				return walk(record, 5, func(value []byte) error {
					return walk(value, 1, func(text []byte) error {
						if len(text) > stampSize+2 && text[0] == 't' && text[1] == '=' {
							if stamp, err := strconv.ParseInt(string(text[2:2+stampSize]), 10, 64); err == nil {
								r.stamps = append(r.stamps, stamp)
							}
						}
						return nil
					})
				})
			})
		})
	})
}

func (s *sink) take(body []byte, compressed bool) error {
	r := &request{}
	s.lock.Lock()
	later := compressed && !s.countNow && s.kept < maxKept
	if later {
		s.kept += len(body)
	}
	s.lock.Unlock()
	if later {
		r.body = bytes.Clone(body)
	} else if err := s.look(r, body, compressed); err != nil {
		return err
	}
	r.answered = time.Now().UnixNano()
	s.lock.Lock()
	s.requests = append(s.requests, r)
	s.bytes += len(body)
	s.lock.Unlock()
	return nil
}

// look counts what is in a body.
func (s *sink) look(r *request, body []byte, compressed bool) error {
	if compressed {
		unpacked, err := gzip.NewReader(bytes.NewReader(body))
		if err != nil {
			return err
		}
		if body, err = io.ReadAll(unpacked); err != nil {
			return err
		}
	}
	if err := s.count(r, body); err != nil {
		return err
	}
	if r.records < 5000 { // stamped lines come slowly
		return s.stamps(r, body)
	}
	return nil
}

// settle counts what was kept for later. The caller holds the lock.
func (s *sink) settle() error {
	for _, r := range s.requests {
		if r.body != nil {
			if err := s.look(r, r.body, true); err != nil {
				return err
			}
			s.kept -= len(r.body)
			r.body = nil
		}
	}
	return nil
}

// read gives the body to `use`; the bytes belong to it only until it returns.
func (s *sink) read(r *http.Request, use func(body []byte) error) error {
	pooled := s.buffers.Get().(*[]byte)
	defer s.buffers.Put(pooled)
	buffer := *pooled
	filled := 0
	for {
		if filled == len(buffer) {
			buffer = append(buffer, make([]byte, len(buffer))...)
			*pooled = buffer
		}
		n, err := r.Body.Read(buffer[filled:])
		filled += n
		if err == io.EOF {
			return use(buffer[:filled])
		}
		if err != nil {
			return err
		}
	}
}

func (s *sink) export(w http.ResponseWriter, r *http.Request) {
	compressed := r.Header.Get("Content-Encoding") == "gzip"
	if err := s.read(r, func(body []byte) error { return s.take(body, compressed) }); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/x-protobuf")
}

func (s *sink) exportGRPC(w http.ResponseWriter, r *http.Request) {
	err := s.read(r, func(body []byte) error {
		if len(body) < 5 {
			return fmt.Errorf("a message of %d bytes", len(body))
		}
		return s.take(body[5:], body[0] == 1)
	})
	w.Header().Set("Content-Type", "application/grpc")
	w.Header().Set("Trailer", "Grpc-Status, Grpc-Message")
	status, message := "0", ""
	if err != nil {
		status, message = "3", err.Error()
	} else {
		w.Write(make([]byte, 5)) // an empty ExportLogsServiceResponse
	}
	w.Header().Set("Grpc-Status", status)
	w.Header().Set("Grpc-Message", message)
}

func (s *sink) reset(http.ResponseWriter, *http.Request) {
	s.lock.Lock()
	defer s.lock.Unlock()
	s.requests, s.bytes, s.kept = nil, 0, 0
}

func (s *sink) totals(w http.ResponseWriter, _ *http.Request) {
	s.lock.Lock()
	defer s.lock.Unlock()
	var first, last int64
	if number := len(s.requests); number > 0 {
		first, last = s.requests[0].answered, s.requests[number-1].answered
	}
	reply(w, map[string]any{"requests": len(s.requests), "bytes": s.bytes, "first": first, "last": last})
}

func (s *sink) records(w http.ResponseWriter, r *http.Request) {
	reach, _ := strconv.Atoi(r.FormValue("reach"))
	s.lock.Lock()
	defer s.lock.Unlock()
	if err := s.settle(); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	var records, raw int
	var reached int64
	for _, r := range s.requests {
		records += r.records
		raw += r.raw
		if reached == 0 && records >= reach {
			reached = r.answered
		}
	}
	reply(w, map[string]any{"records": records, "raw": raw, "reached": reached})
}

func (s *sink) latencies(w http.ResponseWriter, _ *http.Request) {
	s.lock.Lock()
	defer s.lock.Unlock()
	if err := s.settle(); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	found := []float64{}
	for _, r := range s.requests {
		for _, stamp := range r.stamps {
			found = append(found, float64(r.answered-stamp)/1e6)
		}
	}
	reply(w, found)
}

func reply(w http.ResponseWriter, value any) {
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(value)
}

// walk calls `use` with the content of each length-delimited field `wanted` of a message.
func walk(message []byte, wanted uint64, use func([]byte) error) error {
	for at := 0; at < len(message); {
		tag, n := varint(message[at:])
		at += n
		if n == 0 {
			return io.ErrUnexpectedEOF
		}
		size := 0
		switch tag & 7 {
		case 0:
			_, size = varint(message[at:])
		case 1:
			size = 8
		case 2:
			length, n := varint(message[at:])
			at += n
			size = int(length)
		case 5:
			size = 4
		}
		if size <= 0 && tag&7 != 2 || size < 0 || size > len(message)-at {
			return io.ErrUnexpectedEOF
		}
		if tag == wanted<<3|2 {
			if err := use(message[at : at+size]); err != nil {
				return err
			}
		}
		at += size
	}
	return nil
}

func varint(data []byte) (value uint64, size int) {
	for shift := 0; size < len(data) && shift < 64; shift += 7 {
		b := data[size]
		size++
		value |= uint64(b&0x7f) << shift
		if b < 0x80 {
			return value, size
		}
	}
	return 0, 0
}

func serve(server *http.Server, address string) {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		log.Fatal(err)
	}
	go func() { log.Fatal(server.Serve(listener)) }()
}

func main() {
	address := flag.String("http", "127.0.0.1:0", "where OTLP/HTTP is served")
	grpc := flag.String("grpc", "127.0.0.1:0", "where OTLP/gRPC is served")
	count := flag.String("count", "later", "when compressed bodies are counted: later or now")
	flag.Parse()

	s := &sink{countNow: *count == "now"}
	s.buffers.New = func() any { buffer := make([]byte, maxHTTP2); return &buffer }
	overHTTP, overGRPC := http.NewServeMux(), http.NewServeMux()
	overHTTP.HandleFunc("/v1/logs", s.export)
	overHTTP.HandleFunc("/reset", s.reset)
	overHTTP.HandleFunc("/totals", s.totals)
	overHTTP.HandleFunc("/records", s.records)
	overHTTP.HandleFunc("/latencies", s.latencies)
	overGRPC.HandleFunc("/opentelemetry.proto.collector.logs.v1.LogsService/Export", s.exportGRPC)

	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	serve(&http.Server{Handler: overHTTP}, *address)
	serve(&http.Server{Handler: overGRPC, Protocols: protocols, HTTP2: &http.HTTP2Config{
		MaxReceiveBufferPerStream: maxHTTP2, MaxReceiveBufferPerConnection: 4 * maxHTTP2, MaxReadFrameSize: 1 << 20,
	}}, *grpc)
	fmt.Println("ready")
	io.Copy(io.Discard, os.Stdin)
}
