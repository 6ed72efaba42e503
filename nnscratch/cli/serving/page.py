"""A small page to try the model: a field for each column, or a drawing, and the answer."""

from __future__ import annotations

import html
import json
from typing import Any

from nnscratch.cli.serving.answering import RunAnswers

_STYLE = """
body{font:16px/1.5 system-ui,sans-serif;max-width:44rem;margin:0 auto;padding:1rem;color:#111;
 background:#fff;overflow-wrap:anywhere}
h1{font-size:1.3rem}label{display:block;margin:.4rem 0}
input,select,textarea,button{font:inherit;padding:.3rem .5rem;border:1px solid #767676;
 border-radius:4px;background:#fff;color:#111;max-width:100%}
textarea{width:100%;height:12rem;font-family:monospace;font-size:.8rem}
button{background:#0072b2;color:#fff;border-color:#0072b2}
canvas{border:1px solid #767676;touch-action:none;image-rendering:pixelated;width:20rem;
 max-width:100%;background:#000}
:focus-visible{outline:3px solid #e69f00;outline-offset:1px}
output{display:block;margin:1rem 0;font-size:1.1rem;white-space:pre-wrap}
.bar{display:flex;gap:.5rem;align-items:center}.bar i{background:#56b4e9;height:.8rem;flex:none}
small{color:#444}
"""

_SCRIPT = r"""
const about=JSON.parse(document.getElementById('about').textContent),
form=document.getElementById('form'),fields=document.getElementById('fields'),
answer=document.getElementById('answer'),token=document.getElementById('token');
function put(parent,tag,text){const e=document.createElement(tag);
 if(text!==undefined)e.textContent=text;parent.append(e);return e}
let body;
if(about.columns){
 const inputs=about.columns.map(([name,kind,value,choices])=>{
  const label=put(fields,'label',name+' '),
  input=put(label,choices.length&&choices.length<=50?'select':'input');
  if(input.tagName==='SELECT'){for(const one of ['',...choices])put(input,'option',one)}
  else if(kind==='numeric'){input.type='number';input.step='any'}
  input.value=value;return [name,kind,input]});
 body=()=>{const row={};
  for(const [name,kind,input] of inputs){const v=input.value;
   row[name]=v===''?null:kind==='numeric'?Number(v):kind==='boolean'?v==='true':v}
  return {rows:[row]}}
}else if(about.image.length===2){
 const [height,width]=about.image,canvas=put(fields,'canvas'),clear=put(fields,'button','Clear');
 canvas.width=width;canvas.height=height;canvas.tabIndex=0;
 canvas.setAttribute('aria-label','Draw here');clear.type='button';
 const pen=canvas.getContext('2d');let pixels;
 function wipe(){pixels=Array.from({length:height},()=>Array(width).fill(0));
  pen.clearRect(0,0,width,height)}
 function ink(x,y,level){if(x<0||y<0||x>=width||y>=height)return;
  const v=pixels[y][x]=Math.max(pixels[y][x],level);
  const g=Math.round(255*v);pen.fillStyle=`rgb(${g},${g},${g})`;pen.fillRect(x,y,1,1)}
 canvas.onpointermove=canvas.onpointerdown=event=>{if(!event.buttons)return;
  const box=canvas.getBoundingClientRect(),
  x=Math.floor((event.clientX-box.left)/box.width*width),
  y=Math.floor((event.clientY-box.top)/box.height*height);
  for(const [dx,dy,l] of [[0,0,1],[1,0,.6],[-1,0,.6],[0,1,.6],[0,-1,.6]])ink(x+dx,y+dy,l)};
 canvas.onpointerup=()=>form.requestSubmit();clear.onclick=wipe;wipe();
 body=()=>({images:[pixels.map(row=>row.map(v=>about.whole?Math.round(v*about.white):v*about.white))]})
}else{
 const area=put(fields,'textarea');area.value=JSON.stringify(about.example);
 area.setAttribute('aria-label','The request');body=()=>JSON.parse(area.value)}
form.onsubmit=async event=>{event.preventDefault();answer.textContent='…';
 const headers={'content-type':'application/json'};
 if(token&&token.value)headers.authorization='Bearer '+token.value;
 try{
  const reply=await fetch('predict?probabilities=true',
   {method:'POST',headers,body:JSON.stringify(body())}),found=await reply.json();
  answer.textContent='';
  if(found.error){answer.textContent=found.error;return}
  for(const one of found.predictions){
   put(answer,'div',one.error||String(one.prediction));
   for(const note of one.notes||[])put(put(answer,'div'),'small',note);
   const shares=Object.entries(one.probabilities||{}).sort((a,b)=>b[1]-a[1]).slice(0,10);
   for(const [name,share] of shares){const bar=put(answer,'div');bar.className='bar';
    const length=put(bar,'i');length.style.width=20*share+'rem';
    put(bar,'small',name+' '+(100*share).toFixed(1)+' %')}}
 }catch(error){answer.textContent=String(error)}};
"""


def page(run: RunAnswers, tokens: bool) -> str:
    """Return the page; it asks nobody but this server.

    Args:
        run: what answers.
        tokens: whether there is a field for a token.
    """
    from nnscratch.cli.serving.image_rows import ImageReader
    from nnscratch.cli.serving.table_rows import TableReader

    reader, example = run.reader, run.reader.example()
    about: dict[str, Any] = {"example": example}
    if isinstance(reader, TableReader):
        row = example["rows"][0]
        about["columns"] = [
            [c.name, c.kind, str(row[c.name]).lower() if c.kind == "boolean" else row[c.name],
             list(getattr(c, "categories", ()))]
            for c in reader.columns
        ]  # fmt: skip
    elif isinstance(reader, ImageReader):
        shape = reader.pre.shape
        about["image"] = list(shape[1:] if shape[0] == 1 else shape)
        about["white"] = reader.pre.white
        about["whole"] = reader.pre.pixels.startswith("uint")
    # "<" would end the script; JSON has another way to write it.
    known = json.dumps(about).replace("<", "\\u003c")
    field = '<label>Token <input id="token" type="password"></label>' if tokens else ""
    name = html.escape(run.name)
    return f"""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>{name}</title>
<meta name="viewport" content="width=device-width,initial-scale=1"><style>{_STYLE}</style></head>
<body><h1>{name}</h1><p>{html.escape(run.summary)}</p>
<form id="form">{field}<div id="fields"></div><p><button>Predict</button></p></form>
<output id="answer" aria-live="polite"></output>
<p><small>Programs: POST /predict · <a href="openapi.json">openapi.json</a> ·
<a href="metrics">metrics</a></small></p>
<script id="about" type="application/json">{known}</script><script>{_SCRIPT}</script>
</body></html>
"""
