// Package answers is what the programs that tests ask have in common.
package answers

import (
	"bufio"
	"encoding/json"
	"log"
	"os"
)

// Each reads questions from standard input, one JSON object after the other, and writes the answer to
// each as one line. It ends the program at the first text that is no question.
func Each[Question, Answer any](answer func(*Question) Answer) {
	log.SetFlags(0)
	questions := json.NewDecoder(bufio.NewReader(os.Stdin))
	answers := bufio.NewWriter(os.Stdout)
	encoder := json.NewEncoder(answers)
	for questions.More() {
		var asked Question
		if err := questions.Decode(&asked); err != nil {
			log.Fatal(err)
		}
		if err := encoder.Encode(answer(&asked)); err != nil {
			log.Fatal(err)
		}
	}
	if err := answers.Flush(); err != nil {
		log.Fatal(err)
	}
}
