"""What the end-to-end tests share: the program, trees of files, a pair of servers."""
