package fakeslack

import (
	"encoding/json"
	"io"
	"mime"
	"net/http"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
)

// File is an uploaded file, as https://docs.slack.dev/reference/objects/file-object has it.
type File struct {
	ID         string `json:"id"`
	Created    int64  `json:"created"`
	Name       string `json:"name"`
	Title      string `json:"title"`
	Mimetype   string `json:"mimetype"`
	Filetype   string `json:"filetype"`
	User       string `json:"user"`
	Size       int    `json:"size"`
	AltText    string `json:"alt_txt,omitempty"`
	URLPrivate string `json:"url_private"`
	Permalink  string `json:"permalink"`

	length   int // as announced
	content  []byte
	uploaded bool
	complete bool
	finished time.Time // when it was completed
	shares   []share
}

// processing is how long Slack looks at a new file before it says, and knows,
// what it is (https://github.com/slackapi/node-slack-sdk/issues/2040).
const processing = 700 * time.Millisecond

type share struct {
	channel *channel
	message *Message
}

// maxFile bounds an upload, so that a wrong client cannot fill the memory.
const maxFile = 64 << 20

// getUploadURL is files.getUploadURLExternal, the first of the three steps of
// https://docs.slack.dev/messaging/working-with-files.
func (s *Server) getUploadURL(now time.Time, a arguments) (reply, error) {
	length, err := strconv.Atoi(a["length"])
	if a["filename"] == "" || err != nil || length <= 0 || length > maxFile {
		return nil, failed("invalid_arguments")
	}
	id := s.newID("F")
	name := path.Base(a["filename"])
	s.files[id] = &File{
		ID: id, Created: now.Unix(), Name: name, Title: name, User: s.cfg.Bot.ID,
		Mimetype: or(mime.TypeByExtension(path.Ext(name)), "application/octet-stream"),
		Filetype: strings.TrimPrefix(path.Ext(name), "."), Size: length, length: length, AltText: a["alt_txt"],
		URLPrivate: s.cfg.BaseURL + "/files/" + id + "/" + name,
		Permalink:  s.cfg.BaseURL + "/files/" + id + "/" + name,
	}
	return reply{"upload_url": s.cfg.BaseURL + "/upload/" + id, "file_id": id}, nil
}

// serveUpload takes the bytes, as a raw body or a multipart form.
func (s *Server) serveUpload(w http.ResponseWriter, r *http.Request) {
	if !s.enter() {
		http.Error(w, "closed", http.StatusServiceUnavailable)
		return
	}
	defer s.wg.Done()

	id := r.PathValue("id")
	call := Call{Kind: CallWeb, Method: "upload", Arguments: map[string]string{"file": id}, Connection: r.RemoteAddr}
	body, err := readUpload(w, r)
	if fault := s.trouble("upload"); fault != nil {
		s.answerFault(w, r, fault, call, func() (reply, error) { return reply{}, s.store(id, body) })
		return
	}
	if err == nil {
		err = s.store(id, body)
	}
	if err != nil {
		call.Outcome = err.Error()
		s.record(call)
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	call.Outcome = "ok"
	s.record(call)
	_, _ = w.Write([]byte("OK - " + strconv.Itoa(len(body))))
}

func readUpload(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	r.Body = http.MaxBytesReader(w, r.Body, maxFile+bodyLimit)
	if !strings.HasPrefix(r.Header.Get("Content-Type"), "multipart/") {
		return io.ReadAll(r.Body)
	}
	parts, err := r.MultipartReader()
	if err != nil {
		return nil, err
	}
	for {
		part, err := parts.NextPart()
		if err != nil {
			return nil, err
		}
		if part.FileName() != "" {
			return io.ReadAll(part)
		}
	}
}

func (s *Server) store(id string, body []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.files[id]
	switch {
	case f == nil || f.complete:
		return failed("file_not_found")
	case len(body) != f.length:
		return failed("length_mismatch")
	}
	f.content, f.uploaded = body, true
	return nil
}

// completeUpload is files.completeUploadExternal: the files become one message
// in the channel, or stay unshared without one.
func (s *Server) completeUpload(now time.Time, a arguments) (reply, error) {
	var wanted []struct{ ID, Title string }
	if err := json.Unmarshal([]byte(a["files"]), &wanted); err != nil || len(wanted) == 0 {
		return nil, failed("invalid_arguments")
	}
	files := make([]*File, len(wanted))
	for i, w := range wanted {
		files[i] = s.files[w.ID]
		if files[i] == nil || !files[i].uploaded || files[i].complete {
			return nil, failed("file_not_found")
		}
	}
	if err := s.shareAll(files, a); err != nil {
		return nil, err
	}
	out := make([]map[string]any, len(files))
	for i, f := range files {
		f.complete, f.finished, f.Title = true, now, or(wanted[i].Title, f.Name)
		out[i] = map[string]any{"id": f.ID, "title": f.Title}
	}
	s.retitle(files)
	return reply{"files": out}, nil
}

// retitle copies the final titles into the messages that show the files.
func (s *Server) retitle(files []*File) {
	for _, f := range files {
		for _, sh := range f.shares {
			at := slices.IndexFunc(sh.message.Files, func(shown File) bool { return shown.ID == f.ID })
			sh.message.Files[at] = *f
		}
	}
}

func (s *Server) shareAll(files []*File, a arguments) error {
	names := strings.FieldsFunc(a["channel_id"]+","+a["channels"], func(r rune) bool { return r == ',' })
	targets := make([]*channel, len(names))
	for i, name := range names {
		c, err := s.channelForPost(name)
		if err != nil {
			return err
		}
		if _, err := c.threadFor(a["thread_ts"]); err != nil {
			return err
		}
		targets[i] = c
	}
	blocks, err := s.checkBlocks(a["blocks"])
	if err != nil {
		return err
	}
	for _, c := range targets {
		s.shareIn(c, files, a["thread_ts"], content{text: a["initial_comment"], blocks: blocks})
	}
	return nil
}

func (s *Server) shareIn(c *channel, files []*File, thread string, say content) {
	shown := make([]File, len(files))
	for i, f := range files {
		shown[i] = *f
	}
	m := s.add(c, Message{User: s.cfg.Bot.ID, ThreadTS: thread, Files: shown}, say)
	for _, f := range files {
		f.shares = append(f.shares, share{c, m})
	}
}

// fileInfo is files.info. Where a file is shared is only told here, as with
// Slack, whose upload does not return the message it made.
func (s *Server) fileInfo(now time.Time, a arguments) (reply, error) {
	f := s.files[a["file"]]
	if f == nil || !f.complete {
		return nil, failed("file_not_found")
	}
	public := map[string][]map[string]any{}
	channels := []string{}
	for _, sh := range f.shares {
		where := map[string]any{"ts": sh.message.TS, "channel_name": sh.channel.Name, "team_id": s.cfg.Team.ID}
		if sh.message.ThreadTS != "" {
			where["thread_ts"] = sh.message.ThreadTS
		}
		public[sh.channel.ID] = append(public[sh.channel.ID], where)
		channels = append(channels, sh.channel.ID)
	}
	file := map[string]any{}
	_ = json.Unmarshal(encode(f), &file)
	if now.Sub(f.finished) < processing {
		file["mimetype"], file["filetype"] = "", ""
	}
	file["channels"] = channels
	file["shares"] = map[string]any{"public": public}
	return reply{"file": file, "comments": []any{}}, nil
}

// File returns an uploaded file's bytes and type, for a page that shows it.
func (s *Server) File(id string) (content []byte, mimetype string, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.files[id]
	if f == nil || !f.complete {
		return nil, "", false
	}
	return f.content, f.Mimetype, true
}

// serveFile answers url_private, which wants the bot's token.
func (s *Server) serveFile(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Authorization") != "Bearer "+s.cfg.BotToken {
		http.Error(w, "forbidden", http.StatusForbidden)
		return
	}
	content, mimetype, ok := s.File(r.PathValue("id"))
	if !ok {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", mimetype)
	_, _ = w.Write(content)
}
