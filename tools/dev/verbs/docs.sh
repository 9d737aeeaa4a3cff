# regenerate what is made from the program: reference pages of commands and config, Python options and events
source tools/dev/common.sh

bash tools/dev/verbs/build.sh
for page in commands config; do
  build/checkvalve man --page "$page" >"docs/reference/$page.md"
done
python3 tools/dev/python_sources.py build/checkvalve
say "regenerated commands.md and config.md of docs/reference/, options.py and events.py of python/checkvalve/"
