import { allCommands, type CommandWords, lastWord, type Place } from './words.ts';

export const shells = ['bash', 'zsh'] as const;
export type Shell = (typeof shells)[number];

/** A word for the shell, whatever it holds. */
const quoted = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`;

/** `kind` for the shell: `words …`, or the name of the place. */
function kindOf(place: Place | undefined): string {
  if (place === undefined) return '';
  return typeof place === 'string' ? place : `words ${place.join(' ')}`;
}

/** What both shells decide by the same `case`s: which command a word leads to, and what follows an option or a command. */
function decisions(program: CommandWords): string {
  const all = allCommands(program);
  const steps = all.flatMap(({ line, commands }) =>
    commands.map((child) => `    ${quoted(`${line}|${lastWord(child)}`)}) at=${quoted(child.line)} ;;`),
  );
  const values = all.flatMap(({ line, options }) =>
    options.flatMap(({ flag, value }) =>
      value === undefined ? [] : [`    ${quoted(`${line}|${flag}`)}) kind=${quoted(kindOf(value))} ;;`],
    ),
  );
  const places = all.flatMap(({ line, argument }) =>
    argument === undefined ? [] : [`    ${quoted(line)}) kind=${quoted(kindOf(argument))} ;;`],
  );
  return `_lockstep_step() {
  case "$at|$1" in
${steps.join('\n')}
  esac
}

_lockstep_value() {
  kind=''
  case "$at|$1" in
${values.join('\n')}
  esac
}

_lockstep_place() {
  kind=''
  case "$at" in
${places.join('\n')}
  esac
}`;
}

function bashScript(program: CommandWords): string {
  const lists = allCommands(program).map(({ line, commands, options }) => {
    const flags = options.map(({ flag }) => flag).join(' ');
    return `    ${quoted(line)}) commands=${quoted(commands.map(lastWord).join(' '))} options=${quoted(flags)} ;;`;
  });
  return `# Completion of lockstep for bash: source <(npx lockstep completion bash)

${decisions(program)}

_lockstep_lists() {
  case "$at" in
${lists.join('\n')}
  esac
}

_lockstep() {
  local current="\${COMP_WORDS[COMP_CWORD]}" at='' kind='' commands='' options='' word i
  for ((i = 1; i < COMP_CWORD; i++)); do
    word="\${COMP_WORDS[i]}"
    if [[ -n $kind ]]; then
      kind=''
    elif [[ $word == -* ]]; then
      _lockstep_value "$word"
    else
      _lockstep_step "$word"
    fi
  done
  COMPREPLY=()
  _lockstep_lists
  if [[ -z $kind && $current == -* ]]; then
    kind="words $options"
  elif [[ -z $kind && -n $commands ]]; then
    kind="words $commands"
  elif [[ -z $kind ]]; then
    _lockstep_place
    [[ -n $kind ]] || kind="words $options"
  fi
  case "$kind" in
    directory) compopt -o filenames 2>/dev/null || true; COMPREPLY=($(compgen -d -- "$current")) ;;
    file) compopt -o filenames 2>/dev/null || true; COMPREPLY=($(compgen -f -- "$current")) ;;
    'words '*) COMPREPLY=($(compgen -W "\${kind#words }" -- "$current")) ;;
  esac
}

complete -F _lockstep lockstep
`;
}

/** \`name:what it is\`, as zsh's _describe reads it. */
const described = (name: string, summary: string): string => quoted(`${name.replaceAll(':', '\\:')}:${summary}`);

function zshScript(program: CommandWords): string {
  const lists = allCommands(program).map(({ line, commands, options }) => {
    const names = commands.map((child) => described(lastWord(child), child.summary));
    const flags = options.map(({ flag, summary }) => described(flag, summary));
    return `    ${quoted(line)}) commands=(${names.join(' ')}) options=(${flags.join(' ')}) ;;`;
  });
  return `#compdef lockstep
# Completion of lockstep for zsh: source <(npx lockstep completion zsh)

${decisions(program)}

_lockstep_lists() {
  case "$at" in
${lists.join('\n')}
  esac
}

_lockstep() {
  local at='' kind='' word
  local -a commands options words_of
  for word in "\${(@)words[2,CURRENT-1]}"; do
    if [[ -n $kind ]]; then
      kind=''
    elif [[ $word == -* ]]; then
      _lockstep_value "$word"
    else
      _lockstep_step "$word"
    fi
  done
  _lockstep_lists
  if [[ -z $kind && $PREFIX == -* ]]; then
    _describe -o option options
  elif [[ -z $kind && $#commands -gt 0 ]]; then
    _describe command commands
  else
    [[ -n $kind ]] || _lockstep_place
    case "$kind" in
      directory) _files -/ ;;
      file) _files ;;
      anything) _message value ;;
      'words '*) words_of=(\${(z)\${kind#words }}); compadd -a words_of ;;
      *) _describe -o option options ;;
    esac
  fi
}

(( $+functions[compdef] )) || { autoload -Uz compinit && compinit; }
compdef _lockstep lockstep
`;
}

/** A script that completes what is typed behind \`lockstep\`; it starts nothing. */
export function completionScript(shell: Shell, program: CommandWords): string {
  return shell === 'bash' ? bashScript(program) : zshScript(program);
}
